/* SPDX-License-Identifier: BSD-3-Clause */
/* Writes of other lengths than what they replace, which together keep the length, become such as a transaction takes. */
#ifndef EDIT_JOIN_RUNS_H
#define EDIT_JOIN_RUNS_H

#include "edit/planner.h"

/*
 * Joins the writes of pieces, which the plan has behind those of raw bytes, with what stands between them and moves.  All
 * together they keep the length.  Errors: BLOCKZ_FAILED, BLOCKZ_DAMAGED (the file ends).
 */
enum blockz_status join_runs(struct planner *planner);

#endif
