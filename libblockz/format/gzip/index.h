/* SPDX-License-Identifier: BSD-3-Clause */
/* The index in a gzip header (layout.h): made from the pieces as they are written, and read into a map. */
#ifndef FORMAT_GZIP_INDEX_H
#define FORMAT_GZIP_INDEX_H

#include "format/deflate/deflate.h"
#include "format/format.h"
#include "format/gzip/layout.h"

struct index_builder;

/* An index of pieces that are cut at multiples of piece_size, a power of two. */
struct index_builder *index_builder_new(uint64_t piece_size);
void index_builder_free(struct index_builder *builder);

/*
 * Adds the next piece.  Memory stays bounded: neighbours are united to larger pieces when there are too many, and
 * when even that is not enough the index is given up.  Errors: BLOCKZ_FAILED.
 */
enum blockz_status index_add(struct index_builder *builder, const struct written_piece *piece,
			     struct blockz_fault *fault);

/* How long an index to reserve for an image that is cut into pieces by these parameters. */
size_t index_room(const struct pack_params *params);

/* What stands in the index beside the pieces. */
struct index_facts {
	enum deflate_encoder encoder;
	int level;
	uint64_t image_size, file_size;
	uint8_t trailer[GZIP_TRAILER_LEN];
};

/*
 * Writes the index into len bytes: with the CRCs of data if they fit, else without, else with larger pieces.
 * *piece_size_ret is its piece size; 0, and bytes are zeros but for the CRC, where none fits.  Errors: BLOCKZ_FAILED.
 */
enum blockz_status index_write(struct index_builder *builder, const struct index_facts *facts, uint8_t *bytes,
			       size_t len, uint64_t *piece_size_ret, struct blockz_fault *fault);

/*
 * Whether a subfield of len bytes, of a length that an index can have, is an index, whole or damaged (see layout.h).
 * trailer: the last bytes of the file.
 */
bool index_is_own(const uint8_t *bytes, size_t len, uint64_t file_size, const uint8_t trailer[GZIP_TRAILER_LEN]);

/*
 * Fills an empty map from the index in bytes, which stand at file offset index_off; the pieces begin at body_off.
 * trailer: the last bytes before map->end_off.  Errors: BLOCKZ_DAMAGED for every disagreement with itself, map->end_off
 * and the trailer, BLOCKZ_UNSUPPORTED for another version, BLOCKZ_LIMIT, BLOCKZ_FAILED.
 */
enum blockz_status index_read(const uint8_t *bytes, size_t len, uint64_t index_off, uint64_t body_off,
			      const uint8_t *trailer, struct blockz_map *map, struct blockz_fault *fault);

#endif
