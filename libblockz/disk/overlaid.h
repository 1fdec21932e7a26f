/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An image with an overlay over it: what is read is the overlay's page where there is one, and the image's bytes elsewhere.
 *
 * A page that is written to in part for the first time is completed by what the image holds.  From then on it is written to
 * like any disk.  Writes are inside a gate; who wants the overlay to stand still closes it.
 */
#ifndef DISK_OVERLAID_H
#define DISK_OVERLAID_H

#include "disk/image.h"
#include "journal/overlay.h"

struct overlaid;

/*
 * The image may be made another one, of the same size, while the gate is closed and nobody reads; it and the overlay must
 * live as long.  *overlaid_ret is for overlaid_free().
 * Errors: those of overlay_begin(); BLOCKZ_FAILED.
 */
enum blockz_status overlaid_new(struct blockz_overlay *overlay, const struct disk_image *image,
				struct overlaid **overlaid_ret, struct blockz_fault *fault);
void overlaid_free(struct overlaid *self); /* NULL is fine; what was written is not made durable */

/* All of these may be called by any thread, for what is within the image. */

/* As blockz_disk_read(). */
enum blockz_status overlaid_read(const struct overlaid *self, uint8_t *out, size_t len, uint64_t off,
				 struct blockz_fault *fault);

/* As blockz_disk_write(). */
enum blockz_status overlaid_write(struct overlaid *self, const void *buf, size_t len, uint64_t off,
				  struct blockz_fault *fault);

/* As disk_image_extent(). */
enum blockz_status overlaid_extent(const struct overlaid *self, uint64_t off, uint64_t end, bool *zeros_ret,
				   uint64_t *end_ret, struct blockz_fault *fault);

/* Waits until no write is under way, and keeps others out. */
void overlaid_close_gate(struct overlaid *self);
void overlaid_open_gate(struct overlaid *self);

#endif
