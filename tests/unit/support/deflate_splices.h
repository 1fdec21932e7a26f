/* SPDX-License-Identifier: BSD-3-Clause */
/* Edits inside the deflate streams of gzip files of any writer. */
#ifndef DEFLATE_SPLICES_H
#define DEFLATE_SPLICES_H

#include "splices.h"

/* A file that is spliced. */
struct deflate_splicing {
	struct splice_record record; /* whose file has the checks of the edited image */
	bool done;
	struct bytes out;
};

struct deflate_splicing deflate_splicing(struct bytes file, struct bytes image, struct bytes edited,
					 const struct blockz_map *map);

/* Has all ranges spliced, piece by piece, until one is not done. */
enum blockz_status deflate_splice_all(struct deflate_splicing *self, const struct blockz_map *map,
				      const struct blockz_range *ranges, size_t count, struct blockz_fault *fault);

/*
 * Splices ranges of an edited image, which has to be possible but for the room.  What comes out decodes to the edited image, for
 * zlib and for libdeflate, and what was told to have changed is what differs.
 */
struct deflate_splicing deflate_splice_ranges(struct bytes file, struct bytes image, struct bytes edited,
					      const struct blockz_range *ranges, size_t count, bool keep_length);

int64_t deflate_growth(const struct deflate_splicing *self);

#endif
