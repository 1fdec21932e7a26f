/* SPDX-License-Identifier: BSD-3-Clause */
/* The map of an xz file, by its Index and the first chunk of each Block, or by all chunk headers: a row of struct format. */
#ifndef FORMAT_XZ_SCAN_H
#define FORMAT_XZ_SCAN_H

#include "format/format.h"

enum blockz_status xz_map(const struct blockz_source *file, bool scan, struct blockz_map *map,
			  struct blockz_fault *fault);

#endif
