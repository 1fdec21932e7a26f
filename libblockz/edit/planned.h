/* SPDX-License-Identifier: BSD-3-Clause */
/* The file that a plan makes of another, before it is made: a source, to be read anywhere. */
#ifndef EDIT_PLANNED_H
#define EDIT_PLANNED_H

#include "range/plan.h"

struct planned_file {
	const struct blockz_plan *plan;
	const struct blockz_source *file;
	uint64_t *starts; /* of each write in the new file */
	uint64_t size;
};

/* Both must live as long; *planned is for planned_free().  Errors: BLOCKZ_FAILED (no memory). */
enum blockz_status planned_init(struct planned_file *planned, const struct blockz_plan *plan, const struct blockz_source *file,
				struct blockz_fault *fault);
void planned_free(struct planned_file *planned);

/* One thread at a time reads it, where the plan has a scratch. */
struct blockz_source planned_source(const struct planned_file *planned);

#endif
