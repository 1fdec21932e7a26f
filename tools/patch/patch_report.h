/* SPDX-License-Identifier: BSD-3-Clause */
/* What blockz-patch says: of a plan, of a file that was changed, of a copy, and of a recovery. */
#ifndef PATCH_PATCH_REPORT_H
#define PATCH_PATCH_REPORT_H

#include <jansson.h>

#include "blockz.h"
#include "cli/cli.h"
#include "files/report.h"
#include "patch/overlay_recover.h"

/* What it is about. */
struct patch_report {
	struct cli *cli;
	const struct blockz_plan *plan; /* NULL: there was none, but a recovery */
	enum blockz_recovery recovery;
	enum overlay_recovery overlay;
	const char *renewed; /* the block map that was kept true; NULL: none */
	uint64_t old_image_size; /* of one that the plan may give another size; BLOCKZ_UNKNOWN: it keeps its own */
	uint64_t backup_end; /* image offset behind the backup of a GPT; 0: there is none, or the image keeps its size */
	bool is_copy, image_digest;
};

/* What came of an interrupted edit, in a line. */
const char *recovery_text(enum blockz_recovery recovery);

/* Says how much was changed; what: in a word or two, that it was. */
void patch_report_done(const struct patch_report *report, FILE *out, const char *path, const char *what);

/* Warns of new bytes in the file at path over which no check stands. */
void patch_report_unchecked(const struct patch_report *report, const char *path);

/* Warns of pieces that were encoded again, and of which no check could tell that they were not damaged. */
void patch_report_unverified(const struct patch_report *report, const char *path);

/* Says which files beside path no longer fit. */
void patch_report_stale(const struct patch_report *report, const char *path);

/* Prints the plan's writes as text, without what patch_report_done() says. */
void patch_report_plan(const struct patch_report *report);

/*
 * The report of a plan that is not carried out, of a copy that went to a stream, and of a file that is complete, as objects to
 * print; more: an object whose members are added, and its reference is taken over; NULL: none.
 */
json_t *patch_report_plan_json(const struct patch_report *report, const struct report *file, json_t *more);
json_t *patch_report_json(const struct patch_report *report, const struct report *file, json_t *more);

/* Takes the digests of a file that is complete, and prints the report.  Errors: BLOCKZ_FAILED, those of blockz_map_read(). */
enum blockz_status patch_report_print(const struct patch_report *report, const char *path, const struct blockz_source *file,
				      json_t *more, struct blockz_fault *fault);

#endif
