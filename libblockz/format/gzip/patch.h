/* SPDX-License-Identifier: BSD-3-Clause */
/* What has to hold around raw bytes before they are changed: rows of struct format. */
#ifndef FORMAT_GZIP_PATCH_H
#define FORMAT_GZIP_PATCH_H

#include "format/format.h"

enum blockz_status gzip_layout(const struct blockz_map *map, size_t piece, const uint8_t *bytes,
			       struct blockz_fault *fault);
enum blockz_status gzip_before(const struct blockz_source *file, const struct blockz_map *map, uint64_t file_off,
			       struct blockz_fault *fault);

#endif
