/* SPDX-License-Identifier: BSD-3-Clause */
/* What stands behind a gzip member: another one, padding, or what somebody has appended. */
#ifndef FORMAT_GZIP_BEHIND_H
#define FORMAT_GZIP_BEHIND_H

#include "range/map.h"

/*
 * *member_ret: a member begins at file offset off, or does so but for the file's end.  Where none does, the stream ends
 * there and the map says so, and how much was appended: all that follows, unless it is zeros, which are padding.
 * Errors: BLOCKZ_FAILED, BLOCKZ_DAMAGED (the file has become shorter).
 */
enum blockz_status gzip_look_behind(const struct blockz_source *file, uint64_t off, struct blockz_map *map,
				    bool *member_ret, struct blockz_fault *fault);

#endif
