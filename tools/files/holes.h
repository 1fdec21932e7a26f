/* SPDX-License-Identifier: BSD-3-Clause */
/* What is nothing but zeros: bytes, and the holes of a source.  Reads nothing to find out. */
#ifndef FILES_HOLES_H
#define FILES_HOLES_H

#include "blockz.h"

/* True if so many bytes, at least one, are all zeros. */
bool bytes_are_zeros(const void *bytes, size_t len);

/*
 * Finds the first data at or after off of a source of known size, as next_data() does; all of it is data where it cannot
 * tell.  Returns 0 or an errno value.
 */
int holes_find_data(const struct blockz_source *source, uint64_t off, struct blockz_range *data_ret);

#endif
