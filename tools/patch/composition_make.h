/* SPDX-License-Identifier: BSD-3-Clause */
/* The composition of a plan, written to a file, and its long new bytes to a side file. */
#ifndef PATCH_COMPOSITION_MAKE_H
#define PATCH_COMPOSITION_MAKE_H

#include <jansson.h>

#include "blockz.h"
#include "cli/cli.h"
#include "files/audience.h"
#include "patch/composition.h"

struct making {
	struct cli *cli;
	const struct blockz_source *file;
	const struct blockz_plan *plan;
	const char *path, *side_path;
	bool replace;
	const struct audience *audience; /* of all that is in the result */
	/* Set by making_run(). */
	const char *culprit; /* what a fault speaks of, if not the file that the plan is of */
	struct composition composition;
};

/*
 * Makes the composition at path, complete and durable, and its side file before it, where it has one.  One pass over the file
 * takes both digests.  The first members are set; making_free() in any case.
 * Errors: those of output_open_file(), BLOCKZ_LIMIT (too many parts), BLOCKZ_FAILED.
 */
enum blockz_status making_run(struct making *self, struct blockz_fault *fault);

/* {"path", "side", "parts", "new_bytes"}, side null if there is none.  NULL: no memory. */
json_t *making_json(const struct making *self);

/* Fine for zeros, and twice. */
void making_free(struct making *self);

#endif
