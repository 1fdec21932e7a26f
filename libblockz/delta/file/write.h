/* SPDX-License-Identifier: BSD-3-Clause */
/* Writes a delta: head, OLD's blocks, sections, end. */
#ifndef DELTA_FILE_WRITE_H
#define DELTA_FILE_WRITE_H

#include "delta/file/delta.h"

struct delta_writer;

/*
 * Writes the head and OLD's blocks; the writer keeps a copy of *sink.  The writer is for delta_writer_free(), which writes
 * nothing.  Errors: BLOCKZ_FAILED, BLOCKZ_LIMIT.
 */
enum blockz_status delta_writer_new(const struct blockz_sink *sink, const struct delta_head *head,
				    const struct delta_old_blocks *old_blocks, unsigned threads,
				    struct delta_writer **writer_ret, struct blockz_fault *fault);
void delta_writer_free(struct delta_writer *writer);

enum { DELTA_SECTIONS_AT_ONCE = 4 };

/*
 * Up to DELTA_SECTIONS_AT_ONCE sections, one after another; the more at once, the more threads have something to do.
 * A section has at most DELTA_SECTION_OPS_MAX ops and DELTA_SECTION_BLOCKS_MAX blocks.
 * Streams are coded by liblzma or libzstd or not at all, whichever is smallest, in parallel; the result does not depend on
 * threads.  diff_len + extra_len + packed_len + 4 * op_count must be such that the section's bytes are within
 * DELTA_SECTION_PACKED_MAX: diff counts with the bytes of it that are not 0, and the sum is <= DELTA_SECTION_COST_MAX.
 * Errors: BLOCKZ_FAILED, BLOCKZ_LIMIT (a section comes out larger than a reader takes it).
 */
enum blockz_status delta_write_sections(struct delta_writer *writer, const struct section *sections, size_t count,
					struct blockz_fault *fault);

/* Writes the totals; nothing may follow.  Errors: BLOCKZ_FAILED. */
enum blockz_status delta_write_end(struct delta_writer *writer, struct blockz_fault *fault);

/* Bytes written so far. */
uint64_t delta_writer_len(const struct delta_writer *writer);

#endif
