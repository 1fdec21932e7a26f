/* SPDX-License-Identifier: BSD-3-Clause */
/* Following a composition: a new file is made of parts of a base and of new bytes, and no format is known. */
#ifndef PATCH_COMPOSE_H
#define PATCH_COMPOSE_H

#include "cli/cli.h"
#include "files/compressed.h"

struct compose {
	struct cli *cli;
	const char *path, *side; /* of the composition and its side file; NULL: none was named */
	const char *base_path;
	const struct compressed *base; /* open to read */
	const char *output;
	bool force;        /* as in output_open() */
	const char *culprit; /* set on failure: what the fault speaks of, if not the base */
};

/*
 * Makes the output, says so, and prints the report with --json.  Sizes are compared before the first byte is written, and SHA-256
 * before a named output gets its name; of a stream at its end.
 * Errors: those of composition_read() and output_open(); BLOCKZ_USAGE (a side file is missing, or is not needed); BLOCKZ_DAMAGED
 * (a size or a digest does not match); BLOCKZ_FAILED.
 */
enum blockz_status compose_run(struct compose *compose, struct blockz_fault *fault);

#endif
