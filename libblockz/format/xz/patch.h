/* SPDX-License-Identifier: BSD-3-Clause */
/* What has to hold around raw bytes before they are changed: a row of struct format. */
#ifndef FORMAT_XZ_PATCH_H
#define FORMAT_XZ_PATCH_H

#include "format/format.h"

enum blockz_status xz_layout(const struct blockz_map *map, size_t piece, const uint8_t *bytes,
			     struct blockz_fault *fault);

#endif
