/* SPDX-License-Identifier: BSD-3-Clause */
/* Another end of a gzip stream. */
#ifndef FORMAT_GZIP_ENDING_H
#define FORMAT_GZIP_ENDING_H

#include "format/deflate/layout.h"
#include "format/format.h"
#include "format/gzip/layout.h"

/* `cut` of struct format. */
enum blockz_status gzip_cut(const struct blockz_source *file, const struct blockz_map *map, const struct ending *ending,
			    struct file_cut *cut_ret, struct blockz_fault *fault);

/* What stands behind the last piece. */
struct gzip_end {
	uint8_t bytes[END_LEN + GZIP_TRAILER_LEN]; /* the end of the stream, and the trailer */
	size_t len; /* 0: the last member stays as it is */
};

/* Makes it for a new end, as the renewal has it.  Errors: BLOCKZ_FAILED, BLOCKZ_DAMAGED. */
enum blockz_status gzip_end_make(const struct renewal *renewal, struct gzip_end *end_ret, struct blockz_fault *fault);

/*
 * Finds the trailer, by its check, of the member that new pieces go to, or that ends with the last one that stays; NULL: the image
 * is empty.
 */
const struct check *gzip_end_trailer(const struct blockz_map *map, uint64_t kept, bool continues);

#endif
