/* SPDX-License-Identifier: BSD-3-Clause */
/* What frames are encoded again by, and what else in the file speaks of their lengths: rows of struct format. */
#ifndef FORMAT_ZSTD_RENEW_H
#define FORMAT_ZSTD_RENEW_H

#include "format/format.h"

enum blockz_status zstd_renew_params(const struct blockz_source *file, const struct blockz_map *map, size_t piece,
				     struct pack_params *params_ret, struct blockz_fault *fault);

/* The entries of the seek table, if it fits, and the lengths that pzstd keeps before its frames. */
enum blockz_status zstd_renew_index(const struct renewal *renewal, struct blockz_fault *fault);

enum blockz_status zstd_cut(const struct blockz_source *file, const struct blockz_map *map, const struct ending *ending,
			    struct file_cut *cut_ret, struct blockz_fault *fault);

#endif
