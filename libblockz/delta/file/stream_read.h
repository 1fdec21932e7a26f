/* SPDX-License-Identifier: BSD-3-Clause */
/* Decodes streams as far as they are asked for: no more of one is in memory than a dictionary. */
#ifndef DELTA_FILE_STREAM_READ_H
#define DELTA_FILE_STREAM_READ_H

#include <lzma.h>
#include <zstd.h>

#include "blockz.h"

/* Zeros at first; used for one stream after the other. */
struct stream_reader {
	const char *name;
	uint64_t delta_off; /* where it stands */
	uint8_t method;
	const uint8_t *in;
	size_t in_len;       /* not yet taken */
	uint64_t plain_left; /* not yet decoded */
	bool ended;          /* the decoder has seen the end */
	lzma_stream lzma;
	ZSTD_DCtx *zstd;
	size_t start, end; /* of bytes, for small reads */
	uint8_t bytes[4096];
};

struct stream_facts {
	const char *name;
	uint64_t delta_off;
	uint8_t method;
	const uint8_t *coded; /* stays until the stream is finished */
	size_t coded_len;
	uint64_t plain_len;
	size_t dictionary_max;
};

/* Errors of all of them: BLOCKZ_DAMAGED, BLOCKZ_FAILED (no memory). */
enum blockz_status stream_start(struct stream_reader *reader, const struct stream_facts *facts,
				struct blockz_fault *fault);
enum blockz_status stream_read(struct stream_reader *reader, uint8_t *out, size_t len, struct blockz_fault *fault);
enum blockz_status stream_read_byte(struct stream_reader *reader, uint8_t *value_ret, struct blockz_fault *fault);
enum blockz_status stream_read_varint(struct stream_reader *reader, uint64_t *value_ret, struct blockz_fault *fault);

/* All has been read, and the coded bytes end where the plain ones do. */
enum blockz_status stream_finish(struct stream_reader *reader, struct blockz_fault *fault);
void stream_reader_free(struct stream_reader *reader); /* what its decoders have allocated */

#endif
