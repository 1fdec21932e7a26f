/* SPDX-License-Identifier: BSD-3-Clause */
/* What the parts of a reader share; private to this folder. */
#ifndef DELTA_FILE_READER_H
#define DELTA_FILE_READER_H

#include "base/buffer.h"
#include "delta/file/input.h"
#include "delta/file/layout.h"
#include "delta/file/read.h"
#include "delta/file/stream_read.h"

struct delta_reader {
	struct input input;
	struct delta_head head;
	struct delta_old_block *old_blocks;
	size_t old_block_count;
	uint64_t old_space; /* length of OLD's space */
	/* The record loaded last. */
	struct buffer coded;
	struct stream_reader streams[STREAM_COUNT_MAX];
	struct delta_stream_lens lens[STREAM_COUNT_MAX];
	size_t stream_count;
	uint64_t record_off; /* in the delta */
	/* The section loaded last, and what is left of it. */
	uint64_t stream_left;
	uint64_t ops_left, blocks_left;
	bool has_block; /* the next block has been read; its `before` is what is left of that */
	struct delta_new_block block;
	struct op op;       /* what is left of it; len 0: none */
	uint64_t old_end;   /* where the last COPY or ADD ended */
	/* So far. */
	uint64_t new_len; /* bytes of NEW */
	struct delta_totals totals;
};

/* One record: its head, and the streams behind it. */
struct record {
	uint8_t type;
	uint8_t head[RECORD_HEAD_MAX];
	size_t head_len, pos; /* of its fields; pos: the next to be read */
};

/* Reads and checks the head of the next record. */
enum blockz_status record_read(struct delta_reader *reader, struct record *record, struct blockz_fault *fault);
enum blockz_status record_varint(struct delta_reader *reader, struct record *record, uint64_t *value_ret,
				 struct blockz_fault *fault);
/* Every field has been read. */
enum blockz_status record_finish(const struct delta_reader *reader, const struct record *record,
				 struct blockz_fault *fault);

/* The last fields of a record, its streams: loads them, compares their check, and starts a decoder for each. */
enum blockz_status record_load(struct delta_reader *reader, struct record *record, const char *const *names,
			       size_t count, struct blockz_fault *fault);
/* All streams have been read to their ends. */
enum blockz_status record_unload(struct delta_reader *reader, struct blockz_fault *fault);

/*
 * What the first streams say of a block of OLD or of NEW: three numbers, by their streams in layout.h, and a byte, the
 * codec or the encoder.
 */
enum { BLOCK_NUMBERS = 3 };

struct block_fields {
	uint64_t numbers[BLOCK_NUMBERS];
	uint8_t coder;
};

_Static_assert((int)OLD_CODECS == (int)BLOCK_NUMBERS && (int)SECTION_ENCODERS == (int)BLOCK_NUMBERS,
	       "the byte's stream is behind those of the numbers");

/* Reads the next block of the record that was loaded last; both its lengths are those that a block may have. */
enum blockz_status record_block(struct delta_reader *reader, bool is_new, struct block_fields *fields_ret,
				struct blockz_fault *fault);

/* BLOCKZ_DAMAGED with "DELTA: " before the text. */
enum blockz_status delta_damaged(const struct delta_reader *reader, struct blockz_fault *fault, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Reads and checks the head; see delta_reader_new(). */
enum blockz_status delta_read_head(struct input *input, struct delta_head *head, struct blockz_fault *fault);

#endif
