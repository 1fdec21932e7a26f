/* SPDX-License-Identifier: BSD-3-Clause */
/* Blocks that are encoded again, and the Indexes over them: rows of struct format. */
#ifndef FORMAT_XZ_RENEW_H
#define FORMAT_XZ_RENEW_H

#include "format/format.h"

extern const int xz_renew_levels[];
enum { XZ_RENEW_NS = 550 };

enum blockz_status xz_renew_params(const struct blockz_source *file, const struct blockz_map *map, size_t piece,
				   struct pack_params *params_ret, struct blockz_fault *fault);
enum blockz_status xz_renew_index(const struct renewal *renewal, struct blockz_fault *fault);
enum blockz_status xz_cut(const struct blockz_source *file, const struct blockz_map *map, const struct ending *ending,
			  struct file_cut *cut_ret, struct blockz_fault *fault);

#endif
