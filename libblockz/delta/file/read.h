/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reads a delta from its beginning to its end.  Everything is hostile: each number is compared with what the head, the
 * caps and the sections before allow, and each part has a check that is compared before the part is believed.
 */
#ifndef DELTA_FILE_READ_H
#define DELTA_FILE_READ_H

#include "delta/file/delta.h"

struct delta_reader;

/*
 * Reads and checks the head, within the first DELTA_HEAD_MAX bytes.  delta may be a stream; it must live as long as the
 * reader, which is for delta_reader_free().  Errors of all that read: BLOCKZ_DAMAGED, BLOCKZ_FAILED; of this one
 * BLOCKZ_UNSUPPORTED, too.
 */
enum blockz_status delta_reader_new(const struct blockz_source *delta, struct delta_reader **reader_ret,
				    struct blockz_fault *fault);
void delta_reader_free(struct delta_reader *reader);

/* The reader's own, as is all that the following return. */
const struct delta_head *delta_reader_head(const struct delta_reader *reader);

/* Behind the head; once.  They are the reader's and stay as long.  All lie within old_size. */
enum blockz_status delta_read_old_blocks(struct delta_reader *reader, struct delta_old_blocks *blocks_ret,
					 struct blockz_fault *fault);

/* Loads the next section; *done_ret: there is none, and the delta's end is as it should be. */
enum blockz_status delta_read_section(struct delta_reader *reader, bool *done_ret, struct blockz_fault *fault);

/* Of the section loaded last: its streams, as layout.h counts them. */
struct delta_stream_lens {
	const char *name;
	uint64_t coded_len, plain_len;
};

/* *count_ret streams, valid until the next section is loaded; before the first one: those of OLD's blocks. */
const struct delta_stream_lens *delta_reader_streams(const struct delta_reader *reader, size_t *count_ret);

/* What has been read so far. */
struct delta_totals {
	uint64_t sections;
	uint64_t blocks, blocks_plain_len, blocks_file_len;
	uint64_t ops[OP_COUNT], ops_len[OP_COUNT];
};

const struct delta_totals *delta_reader_totals(const struct delta_reader *reader);

/* Bytes of the delta read so far. */
uint64_t delta_reader_len(const struct delta_reader *reader);

/* What comes next of the section loaded last: verbatim bytes of the stream, or a block. */
struct delta_step {
	uint64_t len;      /* bytes of the stream; for a block its plain length */
	bool is_block;
	struct delta_new_block block;
};

/* The next step; verbatim ones are cut to verbatim_max.  *done_ret: the section is at its end, all streams used up. */
enum blockz_status delta_read_step(struct delta_reader *reader, uint64_t verbatim_max, struct delta_step *step_ret,
				   bool *done_ret, struct blockz_fault *fault);

/*
 * The next op of a step, cut at the step's end: to be called until the lengths sum up to the step's.  For ADD,
 * EXTRA and PACKED its bytes are written to bytes, which has room for what is left of the step.
 */
enum blockz_status delta_read_op(struct delta_reader *reader, uint64_t step_left, struct op *op_ret, uint8_t *bytes,
				 struct blockz_fault *fault);

#endif
