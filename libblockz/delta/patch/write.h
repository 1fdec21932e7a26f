/* SPDX-License-Identifier: BSD-3-Clause */
/* Writes a patch: head, OLD's blocks, sections, end. */
#ifndef DELTA_PATCH_WRITE_H
#define DELTA_PATCH_WRITE_H

#include "delta/patch/patch.h"

struct patch_writer;

enum blockz_status patch_writer_new(const struct blockz_sink *sink, const struct patch_head *head,
				    const struct patch_old_blocks *old_blocks, unsigned threads,
				    struct patch_writer **writer_ret, struct blockz_fault *fault);
void patch_writer_free(struct patch_writer *writer);

enum { PATCH_SECTIONS_AT_ONCE = 4 };

/*
 * Up to PATCH_SECTIONS_AT_ONCE sections, one after another; the more at once, the more threads have something to do.
 * A section has at most PATCH_SECTION_OPS_MAX ops and PATCH_SECTION_BLOCKS_MAX blocks.
 * Streams are coded by liblzma or libzstd or not at all, whichever is smallest, in parallel; the result does not depend on
 * threads.  diff_len + extra_len + packed_len + 4 * op_count must be such that the section's bytes are within
 * PATCH_SECTION_PACKED_MAX: diff counts with the bytes of it that are not 0, and the sum is <= PATCH_SECTION_COST_MAX.
 * Errors: BLOCKZ_FAILED, BLOCKZ_LIMIT (a section comes out larger than a reader takes it).
 */
enum blockz_status patch_write_sections(struct patch_writer *writer, const struct section *sections, size_t count,
					struct blockz_fault *fault);
enum blockz_status patch_write_end(struct patch_writer *writer, struct blockz_fault *fault);

/* Bytes written so far. */
uint64_t patch_writer_len(const struct patch_writer *writer);

#endif
