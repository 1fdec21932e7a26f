/* SPDX-License-Identifier: BSD-3-Clause */
/* Finds which parameters make the very bytes of a block, by encoding it again; nothing is assumed. */
#ifndef CODEC_PROVE_H
#define CODEC_PROVE_H

#include "codec/blocks.h"

enum { PROVE_NONE = UINT8_MAX };

/* Of an encoder's parameters and the content of a block: where it is the same, so is what the encoder makes. */
struct proof_digest {
	uint64_t low, high;
};

struct proof_digest proof_digest(const struct codec_params *params, const uint8_t *plain, size_t plain_len);

/* What is to be proved, and what came out; all memory is the caller's. */
struct proofs {
	const struct blockz_source *file;
	const struct blocks *blocks; /* of the file, with their candidates */
	const struct codec_env *env;
	const uint32_t *wanted; /* indexes into blocks->items, ascending: these blocks */
	size_t count;           /* of them, and room for so many in: */
	uint8_t *proof;    /* the first candidate with which the decoded block encodes to exactly its bytes, or PROVE_NONE */
	uint64_t *cost_ns; /* the CPU time that this one encoding took */
	struct proof_digest *digest; /* NULL, or: of this candidate and the block */
};

/*
 * Proves the wanted blocks.  A sample is tried with all candidates, the others only with those that made some block of it;
 * the result is the same for any number of threads.  A block that cannot be decoded is damaged or hostile, and
 * PROVE_NONE.  Errors: BLOCKZ_FAILED (also: interrupted).
 */
enum blockz_status prove_blocks(const struct proofs *proofs, const struct blockz_work *work, struct blockz_fault *fault);

/* Bytes of memory that one of its threads takes, for wanted blocks up to this length, decoded. */
uint64_t prove_memory(const struct blocks *blocks, uint64_t longest);

#endif
