/* SPDX-License-Identifier: BSD-3-Clause */
/* LZO for the library: by processes of the helper program blockz-lzo, as many as there are callers at once. */
#ifndef DELTAS_LZO_H
#define DELTAS_LZO_H

#include "blockz_delta.h"

struct lzo_helpers;

/*
 * program: the helper's path; NULL: beside this program, or else in ../libexec/blockz from there.  Starts nothing yet.
 * NULL: there is no helper, or no memory.
 */
struct lzo_helpers *lzo_helpers_new(const char *program);

/* Ends the processes; NULL is none. */
void lzo_helpers_free(struct lzo_helpers *helpers);

/* Returns what the library is given; NULL for NULL.  A helper that ends is EPIPE, and the next call starts another. */
const struct blockz_lzo *lzo_helpers_ops(const struct lzo_helpers *helpers);

#endif
