/* SPDX-License-Identifier: BSD-3-Clause */
/* zstd files that others write: by libzstd, and block by block; and a seek table read by its description. */
#ifndef FOREIGN_ZST_H
#define FOREIGN_ZST_H

#include <zstd.h>

#include "images.h"

uint32_t zst_sum(const void *bytes, size_t len); /* the checksum of a frame with this content */

/* ---- The seek table, as the seekable format 0.1.0 describes it ---- */

struct seek_entry {
	uint32_t file_len, image_len, checksum;
};

struct seek_table {
	struct seek_entry *entries;
	size_t count, off; /* off: of its frame in the file */
	bool checksums;
};

/* False: there is none. */
bool seek_table_find(struct bytes file, struct seek_table *table_ret);

/* The table fits the frames: each decodes alone to what its entry says, and together they are the image. */
void assert_seek_table(struct bytes file, struct bytes image, bool checksums);

/* ---- By libzstd ---- */

struct zst_parameter {
	ZSTD_cParameter name;
	int value;
};

/* One frame; sized: libzstd is told its length first. */
struct bytes zst_compress(struct bytes image, bool sized, const struct zst_parameter *parameters, size_t count);

/* ---- By hand: a file that grows ---- */

enum { ZST_RAW, ZST_RLE, ZST_COMPRESSED };

/* Frame_Header_Descriptor */
enum { ZST_CHECKSUM = 4, ZST_SINGLE = 0x20, ZST_SIZE_4 = 0x80, ZST_SIZE_8 = 0xc0 };

struct zst_file {
	struct bytes bytes;
	size_t room;
};

void zst_put(struct zst_file *file, const void *bytes, size_t len);
/* Magic, descriptor, window unless it is a single segment, content size in as many bytes as the descriptor says. */
void zst_put_header(struct zst_file *file, int descriptor, int window, uint64_t content_size);
/* bytes: what stands in the file, which is one byte for ZST_RLE. */
void zst_put_block(struct zst_file *file, bool last, int type, size_t size, const void *bytes);
void zst_put_checksum(struct zst_file *file, struct bytes content);
void zst_put_skippable(struct zst_file *file, int kind, size_t len);
void zst_put_table(struct zst_file *file, const struct seek_entry *entries, size_t count, bool checksums);

/* A whole frame of raw blocks, cut at each `cut` bytes of its content. */
void zst_put_raw_frame(struct zst_file *file, struct bytes content, size_t cut, int descriptor, int window);

/* By libzstd in one go, and in small parts; and by our decoder, which is to refuse what not every one takes. */
void zst_assert_frame(struct bytes frame, struct bytes image);
/* Fills a frame up by so many bytes; false: it is as it was. */
bool zst_fill(struct bytes frame, size_t amount, struct bytes *filled_ret);

#endif
