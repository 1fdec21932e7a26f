/* SPDX-License-Identifier: BSD-3-Clause */
/* What blockz-merge says: what it made, and whether it could. */
#ifndef DELTAS_MERGE_REPORT_H
#define DELTAS_MERGE_REPORT_H

#include "blockz.h"
#include "cli/cli.h"
#include "deltas/delta_env.h"

/* An image that was made, and has its name. */
struct merge_report {
	const char *path; /* "-": standard output */
	int fd;           /* of it, from which its digest is taken */
	uint64_t size;
	size_t deltas;    /* 0: it was made of an expanded file */
	bool unproved;    /* the last delta has no digest to compare it with */
};

/* Prints it as text, or with --json, its digest included, as an object.  Errors: BLOCKZ_FAILED. */
enum blockz_status merge_report_print(const struct merge_report *report, const struct delta_env *env,
				      struct blockz_fault *fault);

/* Says that a delta can be applied to old here, and makes an image of new_size bytes.  Errors: BLOCKZ_FAILED. */
enum blockz_status merge_report_applicable(const struct cli *cli, const char *delta, const char *old, uint64_t new_size,
					   struct blockz_fault *fault);

#endif
