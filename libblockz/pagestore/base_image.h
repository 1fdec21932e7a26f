/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The image that a store started from, and what can be told of it.  Any thread may call both; they wait for whatever the
 * base is read from, so nobody does who has a shard's lock or a context of the codec.
 */
#ifndef PAGESTORE_BASE_IMAGE_H
#define PAGESTORE_BASE_IMAGE_H

#include "blockz_pages.h"

/* Reads bytes of the base, and zeros behind its end, at an image offset.  Errors: those of the base, BLOCKZ_FAILED. */
enum blockz_status base_image_read(const struct blockz_source *base, uint8_t *buf, size_t len, uint64_t off,
				   struct blockz_fault *fault);

/*
 * Of pages [page, end), all in the base: *zeros_ret, whether some from the first on are known to be zeros, or may be data,
 * and *end_ret where these end.  Errors: BLOCKZ_FAILED.
 */
enum blockz_status base_image_extent(const struct blockz_source *base, uint32_t page_size, uint64_t page, uint64_t end,
				     bool *zeros_ret, uint64_t *end_ret, struct blockz_fault *fault);

#endif
