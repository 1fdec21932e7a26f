/* SPDX-License-Identifier: BSD-3-Clause */
/* What edits make of an image, seen through a window that moves from its beginning to its end. */
#ifndef PATCH_EDITED_WINDOW_H
#define PATCH_EDITED_WINDOW_H

#include "blockz.h"
#include "patch/edits.h"

/* Private. */
struct edited_window {
	const struct blockz_edit **sorted; /* by where they start */
	size_t count, next;
	const struct blockz_edit **active; /* that began before the end of the window, in the order given */
	size_t active_count;
};

/* edits must live as long.  Errors: BLOCKZ_FAILED. */
enum blockz_status edited_window_start(struct edited_window *window, const struct edits *edits, struct blockz_fault *fault);

/*
 * Puts the new bytes into buf, which holds len bytes of the image from off on; off must be as large as off + len of the
 * call before.  Later edits win.  Returns 0 or an errno value.
 */
int edited_window_apply(struct edited_window *window, void *buf, size_t len, uint64_t off);

/* Fine for zeros. */
void edited_window_free(struct edited_window *window);

#endif
