/* SPDX-License-Identifier: BSD-3-Clause */
/* One overlay: made, written to, flushed, announced to, dropped. */
#include "journal/overlay_private.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/checked.h"
#include "base/export.h"
#include "base/fault.h"

enum { PAGE = BLOCKZ_OVERLAY_PAGE };

/* ---- Failure ---- */

bool overlay_is_good(const struct blockz_overlay *overlay)
{
	return !overlay->failed;
}

/* What is left after an error; the fault may be NULL. */
static enum blockz_status state_left(const struct blockz_overlay *overlay, enum blockz_status status, struct blockz_fault *fault)
{
	return fault_state(fault, status, overlay->is_there ? BLOCKZ_IMAGE_NEEDS_RECOVERY : BLOCKZ_IMAGE_UNCHANGED);
}

static enum blockz_status refuse_failed(const struct blockz_overlay *overlay, struct blockz_fault *fault)
{
	fault_set(fault, BLOCKZ_FAILED, BLOCKZ_UNKNOWN, "read-only since an error: %s", overlay->failure.text);
	return state_left(overlay, BLOCKZ_FAILED, fault);
}

/* An errno value, after which nothing is written any more. */
static enum blockz_status fail_locked(struct blockz_overlay *overlay, int error, const char *what, struct blockz_fault *fault)
{
	fault_errno(&overlay->failure, error, BLOCKZ_UNKNOWN, what);
	overlay->failed = true;
	if (fault != NULL)
		*fault = overlay->failure;
	return state_left(overlay, BLOCKZ_FAILED, fault);
}

static enum blockz_status fail(struct blockz_overlay *overlay, int error, const char *what, struct blockz_fault *fault)
{
	pthread_mutex_lock(&overlay->sync_lock);
	enum blockz_status status = fail_locked(overlay, error, what, fault);
	pthread_mutex_unlock(&overlay->sync_lock);
	return status;
}

/* Another try is allowed. */
static enum blockz_status write_failed(const struct blockz_overlay *overlay, int error, struct blockz_fault *fault)
{
	fault_errno(fault, error, BLOCKZ_UNKNOWN, "writing to the overlay");
	return state_left(overlay, BLOCKZ_FAILED, fault);
}

void overlay_give_up(struct blockz_overlay *overlay, const struct blockz_fault *why)
{
	pthread_mutex_lock(&overlay->sync_lock);
	if (overlay_is_good(overlay))
		overlay->failure = *why;
	overlay->failed = true;
	pthread_mutex_unlock(&overlay->sync_lock);
}

/* ---- Places ---- */

static int place_write(const struct blockz_overlay *overlay, const void *buf, size_t len, uint64_t off)
{
	return overlay->place->ops->journal_write(overlay->place->ctx, buf, len, off);
}

static int place_sync(const struct blockz_overlay *overlay)
{
	return overlay->place->ops->journal_sync(overlay->place->ctx);
}

/* ---- Writing ---- */

enum blockz_status overlay_begin(struct blockz_overlay *overlay, uint64_t image_size, struct blockz_fault *fault)
{
	if (overlay->state != BLOCKZ_OVERLAY_NONE && overlay->state != BLOCKZ_OVERLAY_OF_FILE)
		return blockz_overlay_refuse(overlay, fault);
	if (overlay->state == BLOCKZ_OVERLAY_OF_FILE && overlay->header.image_size != image_size) {
		fault_set(fault, BLOCKZ_NEEDS_RECOVERY, BLOCKZ_UNKNOWN,
			  "overlay: of an image of %" PRIu64 " bytes, and that of the file has %" PRIu64 "; it is left as it is",
			  overlay->header.image_size, image_size);
		return fault_remedy(fault, BLOCKZ_REMEDY_DROP);
	}
	if (overlay->state == BLOCKZ_OVERLAY_OF_FILE || !overlay->writable || image_size == 0)
		return BLOCKZ_OK;
	if (image_size > OVERLAY_IMAGE_MAX)
		return fault_set(fault, BLOCKZ_LIMIT, BLOCKZ_UNKNOWN,
				 "the image has %" PRIu64 " bytes, and an overlay holds pages of at most %" PRIu64, image_size,
				 OVERLAY_IMAGE_MAX);
	overlay->header.image_size = image_size;
	overlay_pages_free(&overlay->pages);
	return overlay_pages_init(&overlay->pages, image_size) ? BLOCKZ_OK : fault_nomem(fault);
}

/* A write that fails leaves what a disk would leave: the bytes that it was to overwrite are those or others. */
enum blockz_status overlay_write(struct blockz_overlay *overlay, const void *buf, size_t len, uint64_t off,
				 struct blockz_fault *fault)
{
	if (!overlay_is_good(overlay))
		return refuse_failed(overlay, fault);
	int error = place_write(overlay, buf, len, overlay_data_off(overlay) + off);
	return error == 0 ? BLOCKZ_OK : write_failed(overlay, error, fault);
}

/* ---- Making it ---- */

static int write_slot(struct blockz_overlay *overlay, const struct overlay_header *header)
{
	uint8_t slot[OVERLAY_SLOT_LEN];
	overlay_slot_store(slot, header);
	return place_write(overlay, slot, sizeof(slot), overlay_slot_off(header));
}

/* Takes room for both. */
static int write_first_slot(struct blockz_overlay *overlay)
{
	static const uint8_t zeros[OVERLAY_HEADER_LEN];
	int error = place_write(overlay, zeros, sizeof(zeros), 0);
	return error == 0 ? write_slot(overlay, &overlay->header) : error;
}

/* Nothing is left of one that could not be made; where a sync has failed, no other is made. */
static enum blockz_status unmake(struct blockz_overlay *overlay, bool harmless, int error, struct blockz_fault *fault)
{
	bool gone = overlay->place->ops->journal_discard(overlay->place->ctx) == 0;
	overlay->is_there = !gone;
	if (!harmless || !gone)
		return fail(overlay, error, "making the overlay durable", fault);
	fault_errno(fault, error, BLOCKZ_UNKNOWN, "creating the overlay");
	return state_left(overlay, BLOCKZ_FAILED, fault);
}

static enum blockz_status make(struct blockz_overlay *overlay, struct blockz_fault *fault)
{
	const struct blockz_store *place = overlay->place;
	struct overlay_header *header = &overlay->header;
	header->generation = 0;
	header->next = (struct overlay_identity){ 0 };
	enum blockz_status status = overlay_identify(overlay, &header->base, fault);
	if (status != BLOCKZ_OK)
		return status;
	int error = place->ops->journal_create(place->ctx, overlay_file_len(overlay));
	if (error == 0)
		error = write_first_slot(overlay);
	if (error != 0)
		return unmake(overlay, true, error, fault);
	error = place->ops->journal_publish(place->ctx);
	if (error != 0)
		return unmake(overlay, false, error, fault);
	overlay->state = BLOCKZ_OVERLAY_OF_FILE;
	overlay->is_there = true;
	return BLOCKZ_OK;
}

/*
 * Takes room for the bits of pages, so that it is not a flush that finds the disk full.  What is written once more are zeros, or
 * was nothing at all.
 */
static enum blockz_status reserve_bits(struct blockz_overlay *overlay, uint64_t first, uint64_t last, struct blockz_fault *fault)
{
	static const uint8_t zeros[OVERLAY_BLOCK_LEN];
	for (uint64_t block = first / OVERLAY_BLOCK_PAGES; block <= last / OVERLAY_BLOCK_PAGES; block++) {
		if (overlay->pages.has_room[block])
			continue;
		int error = place_write(overlay, zeros, sizeof(zeros), OVERLAY_HEADER_LEN + block * OVERLAY_BLOCK_LEN);
		if (error != 0)
			return write_failed(overlay, error, fault);
		overlay->pages.has_room[block] = true;
	}
	return BLOCKZ_OK;
}

enum blockz_status overlay_add(struct blockz_overlay *overlay, const void *buf, size_t len, uint64_t off,
			       struct blockz_fault *fault)
{
	if (!overlay_is_good(overlay))
		return refuse_failed(overlay, fault);
	enum blockz_status status = overlay->is_there ? BLOCKZ_OK : make(overlay, fault);
	if (status == BLOCKZ_OK)
		status = reserve_bits(overlay, off / PAGE, (off + len - 1) / PAGE, fault);
	if (status == BLOCKZ_OK)
		status = overlay_write(overlay, buf, len, off, fault);
	for (uint64_t page = off / PAGE; page * PAGE < off + len && status == BLOCKZ_OK; page++)
		overlay_pages_add(&overlay->pages, page);
	return status;
}

/* ---- Flushing ---- */

/* Bits of pages that are not durable yet are not written. */
struct taken {
	uint64_t *blocks; /* their indexes */
	uint8_t *bytes;
	size_t count;
};

enum { TAKE_MAX = 256 }; /* 1 MiB of bits, which are those of 32 GiB */

/* From block `from` on, as many as there is room for; returns where the next search begins. */
static uint64_t take_blocks(struct blockz_overlay *overlay, uint64_t from, struct taken *taken)
{
	taken->count = 0;
	for (; from < overlay->pages.block_count && taken->count < TAKE_MAX; from++)
		if (overlay_pages_take(&overlay->pages, from, taken->bytes + taken->count * OVERLAY_BLOCK_LEN))
			taken->blocks[taken->count++] = from;
	return from;
}

static int write_blocks(const struct blockz_overlay *overlay, const struct taken *taken)
{
	int error = 0;
	for (size_t i = 0; i < taken->count && error == 0; i++)
		error = place_write(overlay, taken->bytes + i * OVERLAY_BLOCK_LEN, OVERLAY_BLOCK_LEN,
				    OVERLAY_HEADER_LEN + taken->blocks[i] * OVERLAY_BLOCK_LEN);
	return error;
}

/* What could not be written is no less true; after a sync that failed it is of no use any more. */
static void give_back(struct blockz_overlay *overlay, const struct taken *taken)
{
	for (size_t i = 0; i < taken->count; i++)
		overlay_pages_give_back(&overlay->pages, taken->blocks[i]);
}

static enum blockz_status flush_by(struct blockz_overlay *overlay, struct taken *taken, struct blockz_fault *fault)
{
	uint64_t from = 0;
	do {
		from = take_blocks(overlay, from, taken);
		int error = place_sync(overlay);
		if (error != 0)
			return fail_locked(overlay, error, "sync of the overlay", fault);
		if (taken->count == 0)
			continue;
		error = write_blocks(overlay, taken);
		if (error != 0) {
			give_back(overlay, taken);
			return write_failed(overlay, error, fault);
		}
		error = place_sync(overlay);
		if (error != 0)
			return fail_locked(overlay, error, "sync of the overlay", fault);
	} while (from < overlay->pages.block_count);
	return BLOCKZ_OK;
}

static enum blockz_status flush_locked(struct blockz_overlay *overlay, struct blockz_fault *fault)
{
	if (!overlay_is_good(overlay))
		return refuse_failed(overlay, fault);
	if (!overlay->is_there)
		return BLOCKZ_OK;
	uint64_t count = min(TAKE_MAX, overlay->pages.block_count);
	struct taken taken = { .blocks = calloc((size_t)count, sizeof(*taken.blocks)),
			       .bytes = malloc((size_t)count * OVERLAY_BLOCK_LEN) };
	enum blockz_status status = BLOCKZ_OK;
	if (taken.blocks == NULL || taken.bytes == NULL)
		status = state_left(overlay, fault_nomem(fault), fault);
	else
		status = flush_by(overlay, &taken, fault);
	free(taken.blocks);
	free(taken.bytes);
	return status;
}

enum blockz_status overlay_flush(struct blockz_overlay *overlay, struct blockz_fault *fault)
{
	pthread_mutex_lock(&overlay->sync_lock);
	enum blockz_status status = flush_locked(overlay, fault);
	pthread_mutex_unlock(&overlay->sync_lock);
	return status;
}

/* ---- Whose it is ---- */

/* The slot of the last change stays as it is. */
static enum blockz_status change_header(struct blockz_overlay *overlay, struct overlay_header header, struct blockz_fault *fault)
{
	header.generation = overlay->header.generation + 1;
	int error = write_slot(overlay, &header);
	if (error != 0)
		return write_failed(overlay, error, fault);
	error = place_sync(overlay);
	if (error != 0)
		return fail(overlay, error, "sync of the overlay", fault);
	overlay->header = header;
	return BLOCKZ_OK;
}

static enum blockz_status require_writable(const struct blockz_overlay *overlay, struct blockz_fault *fault)
{
	if (overlay->writable)
		return BLOCKZ_OK;
	return fault_set(fault, BLOCKZ_USAGE, BLOCKZ_UNKNOWN, "the overlay was opened to be read");
}

enum blockz_status overlay_set_next(struct blockz_overlay *overlay, const struct overlay_identity *next,
				    struct blockz_fault *fault)
{
	struct overlay_header header = overlay->header;
	if (overlay->state != BLOCKZ_OVERLAY_OF_FILE)
		return overlay->state == BLOCKZ_OVERLAY_NONE ? BLOCKZ_OK : blockz_overlay_refuse(overlay, fault);
	enum blockz_status status = require_writable(overlay, fault);
	if (status == BLOCKZ_OK)
		status = overlay_flush(overlay, fault);
	if (status != BLOCKZ_OK)
		return status;
	header.next = *next;
	return change_header(overlay, header, fault);
}

EXPORT enum blockz_status blockz_overlay_adopt(struct blockz_overlay *overlay, struct blockz_fault *fault)
{
	struct overlay_header header = overlay->header;
	if (overlay->state == BLOCKZ_OVERLAY_NONE || overlay->state == BLOCKZ_OVERLAY_OF_FILE)
		return BLOCKZ_OK;
	if (overlay->state == BLOCKZ_OVERLAY_UNTRUSTED)
		return blockz_overlay_refuse(overlay, fault);
	header.next = (struct overlay_identity){ 0 };
	enum blockz_status status = require_writable(overlay, fault);
	if (status == BLOCKZ_OK)
		status = overlay_identify(overlay, &header.base, fault);
	if (status == BLOCKZ_OK)
		status = change_header(overlay, header, fault);
	if (status == BLOCKZ_OK)
		overlay->state = BLOCKZ_OVERLAY_OF_FILE;
	return status;
}

/* ---- Its end ---- */

/* The next one is of an image of the same size. */
static void forget(struct blockz_overlay *overlay, struct overlay_pages *none)
{
	overlay_pages_free(&overlay->pages);
	overlay->pages = *none;
	overlay->state = BLOCKZ_OVERLAY_NONE;
	overlay->is_there = false;
	overlay->note = NULL;
}

static enum blockz_status drop_locked(struct blockz_overlay *overlay, struct blockz_fault *fault)
{
	struct overlay_pages none = { 0 };
	if (overlay->is_there && !overlay_pages_init(&none, overlay->header.image_size))
		return state_left(overlay, fault_nomem(fault), fault);
	int error = overlay->place->ops->journal_remove(overlay->place->ctx);
	if (error == 0) {
		forget(overlay, &none);
		return BLOCKZ_OK;
	}
	overlay_pages_free(&none);
	return fail_locked(overlay, error, "removing the overlay", fault);
}

EXPORT enum blockz_status blockz_overlay_drop(struct blockz_overlay *overlay, struct blockz_fault *fault)
{
	if (overlay->state == BLOCKZ_OVERLAY_NONE)
		return BLOCKZ_OK;
	enum blockz_status status = require_writable(overlay, fault);
	if (status != BLOCKZ_OK)
		return status;
	pthread_mutex_lock(&overlay->sync_lock);
	status = drop_locked(overlay, fault);
	pthread_mutex_unlock(&overlay->sync_lock);
	return status;
}
