/* SPDX-License-Identifier: BSD-3-Clause */
/* The map of a gzip file, by its index or by walking the whole stream: a row of struct format. */
#ifndef FORMAT_GZIP_SCAN_H
#define FORMAT_GZIP_SCAN_H

#include "format/format.h"

enum blockz_status gzip_map(const struct blockz_source *file, bool scan, struct blockz_map *map,
			    struct blockz_fault *fault);

#endif
