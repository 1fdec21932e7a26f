/* SPDX-License-Identifier: BSD-3-Clause */
/* What the parts of a writer share; private to this folder. */
#ifndef DELTA_FILE_WRITER_H
#define DELTA_FILE_WRITER_H

#include "delta/file/write.h"

struct delta_writer {
	struct blockz_sink sink;
	unsigned threads;
	uint64_t len;
	uint32_t crc; /* of all bytes so far but checks */
	uint64_t sections, ops, blocks;
};

/* Writes bytes, and a check of all bytes so far.  Errors: BLOCKZ_FAILED. */
enum blockz_status writer_put(struct delta_writer *writer, const void *bytes, size_t len, struct blockz_fault *fault);
enum blockz_status writer_put_check(struct delta_writer *writer, struct blockz_fault *fault);

/* Writes a delta's head, which comes first.  Errors: BLOCKZ_FAILED. */
enum blockz_status delta_write_head(struct delta_writer *writer, const struct delta_head *from,
				    struct blockz_fault *fault);

/* The plain bytes of one stream, as they are gathered; zeros at first, and bytes are the caller's to free. */
struct column {
	uint8_t *bytes;
	size_t len;
};

/* Append one value.  They return false where memory is short. */
bool column_add_byte(struct column *column, uint8_t byte);
bool column_add_varint(struct column *column, uint64_t value);

#endif
