/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A delta in memory: what it says, not how it is written down (that is in layout.h, and in blockz-delta(5)).
 *
 * OLD's space is the OLD file, followed by the decoded content of the OLD blocks that the delta lists, one behind the
 * other.  Ops take bytes from it, add differences, or bring bytes of their own, and so make the stream, which is NEW with
 * some blocks decoded.  NEW is the stream with those blocks encoded again, and everything between them as it is.
 *
 * The stream is cut into sections at block edges.  A section brings all that its part of the stream needs beside OLD;
 * the reader holds one section, compressed, and so a delta may come through a pipe.
 *
 * This folder reads and writes deltas, and OLD's space for those who address it; it calls codecs, the pool and its cache.
 * It neither chooses what a delta says, which is for delta/make/, nor makes NEW, which is for delta/apply/.
 */
#ifndef DELTA_FILE_DELTA_H
#define DELTA_FILE_DELTA_H

#include "check/sha256.h"
#include "codec/codec.h"

enum {
	DELTA_HEAD_MAX = 4096,      /* the head, which tells all that a client needs to refuse, is no longer */
	DELTA_ENCODERS_MAX = 64,
	DELTA_OLD_BLOCKS_MAX = 1 << 20,
	DELTA_DICTIONARY_MAX = 8 << 20, /* of the streams' compression: what a client must hold of each */
	DELTA_SECTION_COST_MAX = 12 << 20, /* see delta_write_sections() */
	/*
	 * Differences are mostly zeros, which the cost does not count.  Twice what a stream's dictionary holds: shorter
	 * sections would cost bytes, longer ones keep threads waiting for the one that codes the differences.
	 */
	DELTA_SECTION_DIFF_MAX = 2 * DELTA_DICTIONARY_MAX,
	DELTA_SECTION_OPS_MAX = DELTA_SECTION_COST_MAX / 4,
	DELTA_SECTION_BLOCKS_MAX = 1 << 20,
	DELTA_SECTION_PACKED_MAX = 24 << 20, /* bytes of a section in the delta; follows from the cost, and is checked */
};

/* Sizes of images; offsets in OLD's space, and differences of them, have 63 bits then. */
#define DELTA_SIZE_MAX (UINT64_C(1) << 61)

struct delta_encoder {
	struct codec_params params;
	uint8_t fingerprint[CODEC_FINGERPRINT_LEN];
};

struct delta_head {
	uint64_t old_size, new_size; /* bytes of OLD that count, what is behind them is not looked at; bytes of NEW */
	uint8_t old_sha256[SHA256_LEN], new_sha256[SHA256_LEN];
	struct delta_encoder encoders[DELTA_ENCODERS_MAX];
	size_t encoder_count;
	/* For people. */
	char old_container[64], new_container[64];
	char note[128];
};

/* Small, because there may be DELTA_OLD_BLOCKS_MAX of them in a client's memory. */
struct delta_old_block {
	uint64_t file_off;
	uint32_t plain_len;
	uint32_t file_len : 26; /* as plain_len, at most CODEC_BLOCK_MAX */
	uint32_t codec : 6;     /* enum codec_id */
};

struct delta_old_blocks {
	struct delta_old_block *items; /* by ascending file_off, none overlapping another */
	size_t count;
};

enum op_kind {
	OP_COPY,   /* bytes of OLD's space */
	OP_ADD,    /* bytes of OLD's space, each plus one of the diff stream, modulo 256 */
	OP_EXTRA,  /* bytes of the extra stream: plain content */
	OP_PACKED, /* bytes of the packed stream: what is compressed already */
	OP_COUNT,
};

struct op {
	uint64_t len;     /* > 0 */
	uint64_t old_off; /* COPY, ADD: in OLD's space; the whole range is within the file or within the blocks */
	uint8_t kind;
};

/* A block of NEW that is encoded again. */
struct delta_new_block {
	uint64_t before; /* bytes of the stream between the block before, or the section's start, and this */
	uint32_t plain_len, file_len;
	uint8_t encoder; /* index in the head's */
};

struct section {
	struct op *ops;
	size_t op_count;
	struct delta_new_block *blocks;
	size_t block_count;
	uint64_t stream_len; /* the sum of the ops' lengths, what is behind the last block included */
	uint8_t *diff, *extra, *packed;
	size_t diff_len, extra_len, packed_len;
};

void section_free(struct section *section); /* leaves an empty one */

#endif
