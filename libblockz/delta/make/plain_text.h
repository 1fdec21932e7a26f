/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The plain content of an image, or of a part of it, as one text for the differ: plain bytes between blocks first, then
 * decoded blocks (in_order false, OLD); or both as they follow each other in the file (true, NEW).
 */
#ifndef DELTA_MAKE_PLAIN_TEXT_H
#define DELTA_MAKE_PLAIN_TEXT_H

#include "delta/make/image.h"

enum { TEXT_NO_BLOCK = UINT32_MAX };

/* Plain bytes are cut into parts up to this length, so that threads share them and windows can end there. */
enum { TEXT_PART_MAX = 1 << 20 };

/* Contiguous in the file, or one block. */
struct text_part {
	uint64_t text_off, len;
	uint64_t file_off; /* of a block: where it stands, encoded */
	uint32_t block;    /* index, or TEXT_NO_BLOCK */
};

struct plain_text {
	const struct image *image;
	struct text_part *parts; /* gap-free */
	size_t count;
	uint64_t len;
};

/*
 * Lists the parts and reads nothing.  wanted: one for each block; the others are left out.  The image must live as long.
 * Errors: BLOCKZ_FAILED (no memory).
 */
enum blockz_status plain_text_layout(const struct image *image, const bool *wanted, bool in_order,
				     struct plain_text *text_ret, struct blockz_fault *fault);
void plain_text_free(struct plain_text *text);

/* Of a text that is not laid out yet: its length, and a bound on its longest part (at least 1). */
struct text_bounds {
	uint64_t len, longest;
};

struct text_bounds plain_text_bounds(const struct blocks *blocks, const bool *wanted);

/* The part that holds a text offset below len. */
size_t plain_text_find(const struct plain_text *text, uint64_t text_off);

/*
 * Reads parts [first, end) to out, as they follow each other, blocks decoded, in parallel.  Errors: BLOCKZ_FAILED,
 * BLOCKZ_DAMAGED.
 */
enum blockz_status plain_text_read(const struct plain_text *text, size_t first, size_t end, const struct codec_env *env,
				   uint8_t *out, const struct blockz_work *work, struct blockz_fault *fault);

/* Who looks at blocks: called from any thread; plain is NULL for a block that cannot be decoded. */
struct text_viewer {
	void (*look)(void *ctx, size_t block, const uint8_t *plain, size_t len);
	void *ctx;
};

/* Shows each wanted block to the viewer, in parallel.  Errors: BLOCKZ_FAILED. */
enum blockz_status plain_text_look(const struct image *image, const bool *wanted, const struct codec_env *env,
				   const struct text_viewer *viewer, const struct blockz_work *work,
				   struct blockz_fault *fault);

#endif
