/* SPDX-License-Identifier: BSD-3-Clause */
/* What a delta says of itself: blockz-delta --info, and the part of it that is printed of a new delta, too. */
#ifndef DELTAS_DELTA_REPORT_H
#define DELTAS_DELTA_REPORT_H

#include <jansson.h>

#include "blockz_delta.h"
#include "cli/cli.h"

/* What the head of a delta of so many bytes says.  path may be "-".  NULL: no memory. */
json_t *delta_report_json(const char *path, uint64_t size, const struct blockz_delta_info *head);

/*
 * Prints what a delta is for, what it needs and what it consists of, as text or, with --json, as an object.  It may be of
 * SquashDelta.  Errors: BLOCKZ_FAILED, and those of blockz_delta_info(), blockz_delta_summary() and squashdelta_print().
 */
enum blockz_status delta_report_print(const struct cli *cli, const char *path, struct blockz_fault *fault);

#endif
