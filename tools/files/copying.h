/* SPDX-License-Identifier: BSD-3-Clause */
/* Copying what a source has to a descriptor. */
#ifndef FILES_COPYING_H
#define FILES_COPYING_H

#include "blockz.h"

/*
 * Writes what from has behind off, at most limit bytes, to a descriptor at its current position.  Stops at the end of from;
 * *len_ret: how many bytes were written then.  Returns 0, or an errno value of either.
 */
int copy_bytes(const struct blockz_source *from, uint64_t off, uint64_t limit, int to, uint64_t *len_ret);

#endif
