/* SPDX-License-Identifier: BSD-3-Clause */
/* What an edit takes, for people. */
#ifndef DRAW_EDIT_TEXT_H
#define DRAW_EDIT_TEXT_H

#include "blockz.h"

/* Writes "42 ms", "1.3 s", "5 min" and the like: at least 1 ms, and no finer than an estimate is good for. */
void time_human(char *buf, size_t len, uint64_t ns);

/* Writes what a column of 12 characters has room for: "at once", "piece 42 ms", "part 1.3 s", "no". */
void edit_text(char *buf, size_t len, const struct blockz_edit_cost *cost);

/* "raw", "piece", "part" or "none". */
const char *edit_how_name(enum blockz_edit_how how);

#endif
