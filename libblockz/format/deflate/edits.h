/* SPDX-License-Identifier: BSD-3-Clause */
/* Edits laid over the text of a piece, from its beginning to its end. */
#ifndef FORMAT_DEFLATE_EDITS_H
#define FORMAT_DEFLATE_EDITS_H

#include "format/deflate/walk.h"
#include "format/format.h"

struct edits {
	const struct piece_edit *edit;
	uint64_t image_start; /* of the piece; text offsets count from there */
	size_t next;          /* the first range that is not behind the walk yet */
	uint64_t changed_end; /* behind the last byte that differs; 0: none has */
};

/*
 * Lays edits over len bytes of text from off on, of which old and new are copies, and tells of what differs, if anything
 * does (*changed_ret).  Errors: those of the callbacks.
 */
enum blockz_status edits_lay(struct edits *edits, uint64_t off, const uint8_t *old, uint8_t *new, size_t len,
			       bool *changed_ret, struct blockz_fault *fault);

/* True if a range begins before that text offset, and text so far does not hold all of it. */
bool edits_begin_before(const struct edits *edits, uint64_t off);

/* True if matches from text offset off on may copy bytes that differ. */
bool edits_are_near(const struct edits *edits, uint64_t off);

#endif
