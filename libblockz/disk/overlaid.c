/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Two threads may write to parts of one page that is not held yet.  Each reads the image without a lock, since the image does
 * not change; then one of them adds the page, whole, and the other finds that it is held, and writes its part over it.  Pages
 * that are written as a whole are added under the same lock, so that no image's bytes get over them.
 */
#include "disk/overlaid.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/fault.h"
#include "parallel/gate.h"

enum {
	PAGE = BLOCKZ_OVERLAY_PAGE,
	ZEROS = 128 << 10, /* bytes that are written at once; whole pages */
};

struct overlaid {
	struct blockz_overlay *overlay;
	const struct disk_image *image;
	struct gate gate;
	pthread_mutex_t adding; /* pages */
};

enum blockz_status overlaid_new(struct blockz_overlay *overlay, const struct disk_image *image,
				struct overlaid **overlaid_ret, struct blockz_fault *fault)
{
	enum blockz_status status = overlay_begin(overlay, image->map->image_size, fault);
	if (status != BLOCKZ_OK)
		return status;
	struct overlaid *self = calloc(1, sizeof(*self));
	if (self == NULL)
		return fault_nomem(fault);
	self->overlay = overlay;
	self->image = image;
	gate_init(&self->gate);
	pthread_mutex_init(&self->adding, NULL);
	*overlaid_ret = self;
	return BLOCKZ_OK;
}

void overlaid_free(struct overlaid *self)
{
	if (self == NULL)
		return;
	gate_destroy(&self->gate);
	pthread_mutex_destroy(&self->adding);
	free(self);
}

/* ---- Reading ---- */

enum blockz_status overlaid_read(const struct overlaid *self, uint8_t *out, size_t len, uint64_t off,
				 struct blockz_fault *fault)
{
	enum blockz_status status = BLOCKZ_OK;
	uint64_t end = off + len;
	while (off < end && status == BLOCKZ_OK) {
		bool held;
		uint64_t run_end = overlay_run_end(self->overlay, off, end, &held);
		size_t part = (size_t)(run_end - off);
		status = held ? overlay_read(self->overlay, out, part, off, fault)
			      : disk_image_read(self->image, out, part, off, fault);
		out += part;
		off = run_end;
	}
	return status;
}

/* The longest run that is all held, or all the image's and zeros, or not. */
static enum blockz_status extent_at(const struct overlaid *self, uint64_t off, uint64_t end, bool *zeros_ret, uint64_t *end_ret,
				    struct blockz_fault *fault)
{
	bool held;
	uint64_t run_end = overlay_run_end(self->overlay, off, end, &held);
	if (!held)
		return disk_image_extent(self->image, off, run_end, zeros_ret, end_ret, fault);
	*zeros_ret = false;
	*end_ret = run_end;
	return BLOCKZ_OK;
}

enum blockz_status overlaid_extent(const struct overlaid *self, uint64_t off, uint64_t end, bool *zeros_ret,
				   uint64_t *end_ret, struct blockz_fault *fault)
{
	bool zeros = false;
	uint64_t pos = off;
	while (pos < end) {
		bool more = false;
		uint64_t more_end = pos;
		enum blockz_status status = extent_at(self, pos, end, &more, &more_end, fault);
		if (status != BLOCKZ_OK)
			return status;
		if (pos > off && more != zeros)
			break;
		zeros = more;
		pos = more_end;
	}
	*zeros_ret = zeros;
	*end_ret = pos;
	return BLOCKZ_OK;
}

/* ---- Writing ---- */

/* bytes NULL: zeros. */
static void copy_or_zero(uint8_t *to, const uint8_t *bytes, size_t len)
{
	if (bytes != NULL)
		memcpy(to, bytes, len);
	else
		memset(to, 0, len);
}

/* What is held is only written over; bytes NULL: zeros, at most ZEROS of them. */
static enum blockz_status write_held(struct overlaid *self, const uint8_t *bytes, size_t len, uint64_t off,
				     struct blockz_fault *fault)
{
	static const uint8_t zeros[ZEROS];
	return overlay_write(self->overlay, bytes != NULL ? bytes : zeros, len, off, fault);
}

/* Adds a page that holds the image's bytes, but for those that are written. */
static enum blockz_status add_completed(struct overlaid *self, const uint8_t *bytes, size_t len, uint64_t off,
					struct blockz_fault *fault)
{
	uint8_t page[PAGE];
	uint64_t start = off - off % PAGE;
	size_t page_len = (size_t)min(PAGE, self->image->map->image_size - start);
	enum blockz_status status = disk_image_read(self->image, page, page_len, start, fault);
	if (status != BLOCKZ_OK)
		return status;
	copy_or_zero(page + (off - start), bytes, len);
	pthread_mutex_lock(&self->adding);
	status = overlay_holds(self->overlay, off / PAGE) ? write_held(self, bytes, len, off, fault)
							  : overlay_add(self->overlay, page, page_len, start, fault);
	pthread_mutex_unlock(&self->adding);
	return status;
}

/* Within one page. */
static enum blockz_status write_part(struct overlaid *self, const uint8_t *bytes, size_t len, uint64_t off,
				     struct blockz_fault *fault)
{
	return overlay_holds(self->overlay, off / PAGE) ? write_held(self, bytes, len, off, fault)
							: add_completed(self, bytes, len, off, fault);
}

/* Whole pages, or those up to the image's end. */
static enum blockz_status write_whole(struct overlaid *self, const uint8_t *bytes, size_t len, uint64_t off,
				      struct blockz_fault *fault)
{
	static const uint8_t zeros[ZEROS];
	bool held;
	if (overlay_run_end(self->overlay, off, off + len, &held) == off + len && held)
		return write_held(self, bytes, len, off, fault);
	pthread_mutex_lock(&self->adding);
	enum blockz_status status = overlay_add(self->overlay, bytes != NULL ? bytes : zeros, len, off, fault);
	pthread_mutex_unlock(&self->adding);
	return status;
}

/* How much of [off, end) is written in one way, and whether that is whole pages. */
static size_t next_part(const struct overlaid *self, uint64_t off, uint64_t end, bool zeros, bool *whole_ret)
{
	uint64_t page_end = off - off % PAGE + PAGE;
	bool to_end = end == self->image->map->image_size;
	*whole_ret = off % PAGE == 0 && (end >= page_end || to_end);
	if (!*whole_ret)
		return (size_t)(min(page_end, end) - off);
	uint64_t whole_end = to_end ? end : end - end % PAGE;
	return (size_t)(zeros ? min(whole_end - off, ZEROS) : whole_end - off);
}

enum blockz_status overlaid_write(struct overlaid *self, const void *buf, size_t len, uint64_t off,
				  struct blockz_fault *fault)
{
	const uint8_t *bytes = buf;
	uint64_t end = off + len;
	enum blockz_status status = BLOCKZ_OK;
	gate_enter(&self->gate);
	while (off < end && status == BLOCKZ_OK) {
		bool whole;
		size_t part = next_part(self, off, end, bytes == NULL, &whole);
		status = whole ? write_whole(self, bytes, part, off, fault) : write_part(self, bytes, part, off, fault);
		bytes = bytes != NULL ? bytes + part : NULL;
		off += part;
	}
	gate_leave(&self->gate);
	return status;
}

void overlaid_close_gate(struct overlaid *self)
{
	gate_close(&self->gate);
}

void overlaid_open_gate(struct overlaid *self)
{
	gate_open(&self->gate);
}
