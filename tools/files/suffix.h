/* SPDX-License-Identifier: BSD-3-Clause */
/* What the name of a file says about its format. */
#ifndef FILES_SUFFIX_H
#define FILES_SUFFIX_H

#include "blockz.h"

/* The format whose suffix path ends with; NULL: none. */
const struct blockz_format *format_by_suffix(const char *path);

#endif
