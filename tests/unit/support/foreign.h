/* SPDX-License-Identifier: BSD-3-Clause */
/* Gzip files that others write: by zlib, by libdeflate, and by hand. */
#ifndef FOREIGN_H
#define FOREIGN_H

#include <zlib.h>

#include "images.h"

/* A gzip member by zlib, part by part. */
struct zlib_file {
	z_stream z;
	struct bytes out; /* room for all of it */
};

struct zlib_file *zlib_begin(int level, int strategy, size_t image_len);
void zlib_put(struct zlib_file *file, const void *data, size_t len, int flush);
void zlib_level(struct zlib_file *file, int level); /* for what follows; ends the block */
struct bytes zlib_end(struct zlib_file *file);

/* The whole of an image in one go. */
struct bytes zlib_pack(struct bytes image, int level, int strategy);
struct bytes libdeflate_pack(struct bytes image, int level);

/* By hand: deflate data that grows, and a gzip member around it whose checks are those of image. */
struct deflate_data {
	struct bytes bytes;
	size_t room;
};

void deflate_append(struct deflate_data *data, const void *bytes, size_t len);
void deflate_append_stored(struct deflate_data *data, const void *payload, size_t len, bool final);
struct bytes gzip_member(struct bytes deflate, struct bytes image);

/* The same with an index of our own that says what it is told (format/gzip/layout.h). */
struct index_claim {
	unsigned type; /* enum index_type */
	uint64_t file_len, image_len; /* of zeros: how many pieces */
};

struct bytes gzip_indexed(struct bytes deflate, struct bytes image, const struct index_claim *claims, size_t count,
			  const uint32_t *raw_crcs, size_t crc_count);

/* The index's own bytes in a file that begins with it, and its CRC made right again. */
struct bytes index_of(struct bytes file);
void index_reseal(struct bytes file);

/*
 * 25 bytes of deflate whose final block breaks off in its last literal.  With the two bytes of an empty block behind them
 * they decode, to the 24 bytes of *image_ret; in a stream the block runs on into what follows.
 */
struct bytes unterminated_piece(struct bytes *image_ret);

#endif
