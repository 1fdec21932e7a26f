/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Encodes pages to zstd frames, and decodes these.  A frame has magic, content size and checksum, as if format/zstd had
 * made it, so that a save copies it.  Any thread may call all of it; a context belongs to one at a time.
 */
#ifndef PAGESTORE_PAGE_CODEC_H
#define PAGESTORE_PAGE_CODEC_H

#include "pagestore/memory.h"

struct page_codec;

/* What a thread needs while it is at work on a page. */
struct page_context {
	struct page_context *next; /* private, as the two below */
	ZSTD_CCtx *encoder;
	ZSTD_DCtx *decoder;
	uint8_t *page;  /* room for a page; may be exchanged for another that memory_new() made */
	uint8_t *frame; /* room for a frame, or a copy of one; NULL if the codec does not encode */
};

/*
 * A codec, whose memory is counted in memory, which has to outlive it.  level 0: nothing is encoded, and a context is room
 * for a page.  Contexts are made as they are needed, up to contexts_max.  Errors: BLOCKZ_LIMIT, BLOCKZ_FAILED (no memory
 * for one context).
 */
enum blockz_status page_codec_new(struct memory *memory, uint32_t page_size, int level, unsigned contexts_max,
				  struct page_codec **codec_ret, struct blockz_fault *fault);
void page_codec_free(struct page_codec *codec); /* NULL is fine; nobody may have a context */

/*
 * Lends a context.  It never fails, but waits for one where no more may be made, or memory for one more is missing.  So
 * nobody who has a context may wait for somebody who waits here.
 */
struct page_context *page_codec_take(struct page_codec *codec);
/* Takes it back. */
void page_codec_give(struct page_codec *codec, struct page_context *context);

/* Frees contexts that nobody has, but for the last there is. */
void page_codec_rest(struct page_codec *codec);

/*
 * Encodes a page, or the last one's part within the image; returns the length of the frame, which then is in
 * context->frame, or 0 if that does not pay (or the encoder has no memory), and the page is better kept as it is.
 */
size_t page_codec_encode(const struct page_codec *codec, struct page_context *context, const uint8_t *bytes,
			 size_t len);

/* Decodes a frame to bytes, which are len; the checksum is not compared.  Errors: BLOCKZ_DAMAGED (at image_off). */
enum blockz_status page_codec_decode(struct page_context *context, const uint8_t *frame, size_t frame_len,
				     uint8_t *bytes, size_t len, uint64_t image_off, struct blockz_fault *fault);

#endif
