/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What was written to a served disk and lies in an overlay beside its file is brought into the file, as an edit of whatever
 * bytes it is.
 *
 *	overlay_commit_run() ... say what was done: plan, work ... overlay_commit_close() in any case
 *
 * Before the file changes, the overlay says what it will be: whoever finds both after a crash knows whether this has
 * happened, and neither does it twice nor to another file.
 */
#ifndef PATCH_OVERLAY_COMMIT_H
#define PATCH_OVERLAY_COMMIT_H

#include "blockz_disk.h"
#include "files/scratch_store.h"
#include "patch/carry_out.h"

/* Starts as zeros but for these; they must live as long.  Not to be moved. */
struct overlay_commit {
	const char *path;
	const struct compressed *file;  /* at path, open for writing, without a journal */
	struct blockz_overlay *overlay; /* beside it, open for writing; dropped where all went well */
	struct blockz_map_options map_options;
	struct blockz_work work_options;
	/* What was made of it.  NULL: not that far. */
	struct blockz_plan *plan;
	struct carry_out work;
	/* Private. */
	struct blockz_map *map;
	struct blockz_edit *edits;
	size_t count;
	struct scratch_store scratch;
};

/*
 * Commits, and drops the overlay.  In place or by a new file: what is estimated to be quicker.
 * Memory: 64 bytes for each run of pages in the overlay, and that of blockz_plan_anywhere().
 * Errors: those of blockz_map_read(), blockz_plan_anywhere(), carry_out_prepare() and carry_out_commit().  The overlay stays,
 * and *fault says that the image needs recovery; where room was short, how much was missing.
 */
enum blockz_status overlay_commit_run(struct overlay_commit *self, struct blockz_fault *fault);

/* Fine where it was not run, and twice. */
void overlay_commit_close(struct overlay_commit *self);

#endif
