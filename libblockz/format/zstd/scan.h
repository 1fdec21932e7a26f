/* SPDX-License-Identifier: BSD-3-Clause */
/* The map of a zstd file, by its seek table or by walking every block header: a row of struct format. */
#ifndef FORMAT_ZSTD_SCAN_H
#define FORMAT_ZSTD_SCAN_H

#include "format/format.h"

enum blockz_status zstd_map(const struct blockz_source *file, bool scan, struct blockz_map *map,
			    struct blockz_fault *fault);

#endif
