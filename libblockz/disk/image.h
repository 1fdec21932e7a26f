/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The image of a disk as its file has it: raw bytes from the file, others from decoded pieces, and zeros that were proved.
 * Nothing here writes.
 */
#ifndef DISK_IMAGE_H
#define DISK_IMAGE_H

#include "blockz_disk.h"
#include "disk/piece_cache.h"
#include "disk/spool.h"

struct disk_image {
	const struct blockz_source *file;
	struct blockz_map *map;
	struct groups *groups;
	struct piece_cache *cache;
	uint64_t cache_limit; /* of all that is kept decoded */
	uint64_t piece_max;   /* compressed pieces of which more is decoded are long ones: */
	struct long_reader *longs; /* NULL: there are none, or */
	struct spool *spool;       /* they were copied */
};

/*
 * Makes the image of a map, which is the image's from then on, whatever is returned; *image is for disk_image_free(), after a
 * failure too.  The file must live as long.  spool: as in struct blockz_disk_options; NULL: as if its spool were.
 * Errors: BLOCKZ_LIMIT (a piece is too long: fault->offset is that of the piece), BLOCKZ_FAILED; those of spool.
 */
enum blockz_status disk_image_init(struct disk_image *image, const struct blockz_source *file, struct blockz_map *map,
				   uint64_t cache_limit, const struct blockz_disk_options *spool, struct blockz_fault *fault);
void disk_image_free(struct disk_image *image); /* zeros are fine */

/* What is read in one way. */
struct segment {
	enum blockz_kind kind;
	uint64_t end;
	size_t piece;
	bool is_long; /* BLOCKZ_COMPRESSED: its piece, which is not of a group, is not kept as a whole */
	const struct span *span; /* BLOCKZ_RAW: it contains the segment */
};

/* All of these may be called by any thread, for what is within the image. */

/* The segment from image offset pos on, up to `end` at the latest. */
struct segment disk_image_segment(const struct disk_image *image, uint64_t pos, uint64_t end);

/* Decodes the piece that contains image offset off, which is a compressed one, for later. */
void disk_image_prefetch(const struct disk_image *image, uint64_t off);

/* As blockz_disk_read(). */
enum blockz_status disk_image_read(const struct disk_image *image, uint8_t *out, size_t len, uint64_t off,
				   struct blockz_fault *fault);

/* The longest run from off on, up to `end` at the latest, of which one thing can be said, as blockz_disk_extent() says it. */
enum blockz_status disk_image_extent(const struct disk_image *image, uint64_t off, uint64_t end, bool *zeros_ret,
				     uint64_t *end_ret, struct blockz_fault *fault);

#endif
