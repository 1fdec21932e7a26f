/* SPDX-License-Identifier: BSD-3-Clause */
/* An image that gets another size: which of its pieces stay, and what follows them. */
#ifndef EDIT_RESIZE_H
#define EDIT_RESIZE_H

#include "edit/new_pieces.h"

/* Zeros at first; resize_free() frees what it holds. */
struct resize {
	bool is_wanted; /* the image gets another size: all else is meaningful then alone */
	bool cuts;      /* a smaller one */
	struct edit_part *parts; /* the planner's, cut at what stays */
	struct ending ending;
	struct piece_edge edge;
	struct file_cut cut;
	struct new_pieces pieces;
	struct new_end end; /* the planner's */
};

/*
 * Decides what stays if the image is to have this size, and has the planner go by that: its edits end there.
 * Errors: BLOCKZ_FAILED; where a long piece is cut, those of decoding it.
 */
enum blockz_status resize_begin(struct resize *self, struct planner *planner, uint64_t image_size);

/*
 * Adds to the plan what comes of the file's end: new pieces, and what is left out.  What stays is planned already; last_is_whole:
 * its last piece was encoded again as a whole.  Errors: those of cut(), decoding and encoding; BLOCKZ_LIMIT, BLOCKZ_UNSUPPORTED.
 */
enum blockz_status resize_run(struct resize *self, struct planner *planner, bool last_is_whole);

/* Once the format has renewed what tells of pieces: forgets the checks that are left out. */
void resize_finish(const struct resize *self, struct planner *planner);

void resize_free(struct resize *self);

#endif
