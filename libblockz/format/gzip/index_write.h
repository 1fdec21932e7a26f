/* SPDX-License-Identifier: BSD-3-Clause */
/* The index in a gzip header (layout.h), made from the pieces as they are written. */
#ifndef FORMAT_GZIP_INDEX_WRITE_H
#define FORMAT_GZIP_INDEX_WRITE_H

#include "format/deflate/layout.h"
#include "format/format.h"
#include "format/gzip/layout.h"

struct index_builder;

struct index_builder *index_builder_new(struct index_cuts cuts);
void index_builder_free(struct index_builder *builder);

/*
 * Adds the next piece, or group.  Memory stays bounded: neighbours are united to larger groups when there are too many; where
 * raw ranges are too many, the index is given up.  Errors: BLOCKZ_FAILED.
 */
enum blockz_status index_add(struct index_builder *builder, const struct written_piece *piece,
			     struct blockz_fault *fault);

/* How long an index to reserve for an image that is cut into pieces by these parameters. */
size_t index_room(const struct pack_params *params);

/* What stands in the index beside the pieces. */
struct index_facts {
	enum deflate_encoder encoder;
	int level;
	bool data_crcs; /* those of data pieces are known */
	uint64_t image_size, file_size;
	uint8_t trailer[GZIP_TRAILER_LEN];
};

/*
 * Writes the index into len bytes: with the CRCs of data if they are known and fit, else without, else with larger groups.
 * *piece_size_ret is its piece size; 0, and bytes are zeros but for the CRC, where none fits.  Errors: BLOCKZ_FAILED.
 */
enum blockz_status index_write(struct index_builder *builder, const struct index_facts *facts, uint8_t *bytes,
			       size_t len, uint64_t *piece_size_ret, struct blockz_fault *fault);

/* Writes into len bytes that there is room for an index, and none. */
void index_write_none(uint8_t *bytes, size_t len);

#endif
