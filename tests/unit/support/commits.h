/* SPDX-License-Identifier: BSD-3-Clause */
/* An overlay is brought into its file, as a program would. */
#ifndef COMMITS_H
#define COMMITS_H

#include "blockz_disk.h"
#include "growing_store.h"
#include "memory.h"

/* A plan, and what it needs until it is freed. */
struct overlay_plan {
	struct blockz_plan *plan;
	struct growing_store memory;
	struct blockz_store scratch;
};

/*
 * With an edit for each run that is held; *plan is for overlay_plan_free() whatever is returned, as by
 * blockz_plan_anywhere().
 */
enum blockz_status overlay_plan_make(struct overlay_plan *plan, const struct blockz_overlay *overlay,
				     const struct blockz_source *file, enum blockz_way way, struct blockz_fault *fault);
void overlay_plan_free(struct overlay_plan *plan);

/*
 * Commits it: announced, applied to the store, dropped.  Nothing is done where there is none.  Errors: of all of these.
 */
enum blockz_status commit_in_place(struct blockz_overlay *overlay, const struct blockz_store *store,
				   struct blockz_fault *fault);

/* Plans a new file and announces it; returns the file. */
struct bytes commit_to_copy(struct blockz_overlay *overlay, const struct blockz_source *file);

#endif
