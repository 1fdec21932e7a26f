/* SPDX-License-Identifier: BSD-3-Clause */
/* Finds which parameters make the very bytes of a block, by encoding it again; nothing is assumed. */
#ifndef CODEC_PROVE_H
#define CODEC_PROVE_H

#include "codec/blocks.h"

enum { PROVE_NONE = UINT8_MAX };

/*
 * For each of the blocks named by wanted[0 .. count) (indexes into blocks->items, ascending): proof[i] is the index of
 * the first candidate of blocks with which the decoded block encodes to exactly its bytes, or PROVE_NONE.  cost_ns[i]:
 * the CPU time that this one encoding took.  A sample is tried with all candidates, the others only with those
 * that made some block of it; the result is the same for any number of threads.  A block that cannot be decoded is
 * damaged or hostile, and PROVE_NONE.
 * work->progress is told how far it is, and may stop it.  Errors: BLOCKZ_FAILED.
 */
enum blockz_status prove_blocks(const struct blockz_source *file, const struct blocks *blocks,
				const struct codec_env *env, const uint32_t *wanted, size_t count,
				uint8_t *proof, uint64_t *cost_ns, const struct blockz_work *work,
				struct blockz_fault *fault);

/* Bytes of memory that one of its threads takes, for wanted blocks up to this length, decoded. */
uint64_t prove_memory(const struct blocks *blocks, uint64_t longest);

#endif
