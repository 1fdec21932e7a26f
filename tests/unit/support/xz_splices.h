/* SPDX-License-Identifier: BSD-3-Clause */
/* Edits inside the Blocks of .xz files of any writer, and the chunks of a Block. */
#ifndef XZ_SPLICES_H
#define XZ_SPLICES_H

#include "format/xz/chunks.h"
#include "splices.h"

enum { XZ_PIECES_MAX = 256, XZ_CHUNKS_MAX = 4096, XZ_FIRST_BLOCK = 12 };

/* A file that is spliced. */
struct xz_splicing {
	struct splice_record record;
	struct renewed_piece pieces[XZ_PIECES_MAX];
	size_t piece_count;
	bool done;
	struct bytes out;
};

struct xz_splicing *xz_splicing_new(struct bytes file, struct bytes image, struct bytes edited);

/* Has those parts of the ranges spliced that lie in a piece. */
enum blockz_status xz_splice_piece(struct xz_splicing *self, const struct blockz_map *map, size_t index,
				   const struct blockz_range *ranges, size_t count, struct blockz_fault *fault);

/*
 * Splices ranges of an edited image, which has to be possible.  What comes out, with Indexes for it, decodes to the edited image,
 * and what was told to have changed is what differs.
 */
struct xz_splicing *xz_splice_ranges(struct bytes file, struct bytes image, struct bytes edited,
				     const struct blockz_range *ranges, size_t count);
struct xz_splicing *xz_splice_range(struct bytes file, struct bytes image, struct bytes edited, struct blockz_range range);

int64_t xz_growth(const struct xz_splicing *self);

/* A chunk, and where it is in the file and in the image. */
struct chunk_place {
	struct xz_chunk chunk;
	size_t off, start;
};

/* The chunks of the first Block, with the one that ends it; returns how many. */
size_t xz_find_chunks(struct bytes file, struct chunk_place places[XZ_CHUNKS_MAX]);

#endif
