/* SPDX-License-Identifier: BSD-3-Clause */
/* Pieces that are encoded again, and the index that speaks of them: rows of struct format. */
#ifndef FORMAT_GZIP_RENEW_H
#define FORMAT_GZIP_RENEW_H

#include "format/format.h"

enum blockz_status gzip_renew_params(const struct blockz_source *file, const struct blockz_map *map, size_t piece,
				     struct pack_params *params_ret, struct blockz_fault *fault);
enum blockz_status gzip_renew_index(const struct renewal *renewal, struct blockz_fault *fault);

#endif
