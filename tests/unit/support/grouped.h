/* SPDX-License-Identifier: BSD-3-Clause */
/* Files of which the index has groups of pieces, as those of large images do. */
#ifndef GROUPED_H
#define GROUPED_H

#include "memory.h"

/* A .gz of ours, with an index of groups of this size, a power of two; without an index it stays as it is. */
struct bytes gzip_grouped(struct bytes file, uint64_t group);

#endif
