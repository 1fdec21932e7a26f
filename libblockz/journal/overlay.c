/* SPDX-License-Identifier: BSD-3-Clause */
/* One overlay: found, judged by the file beside it, and read. */
#include "journal/overlay_private.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/checked.h"
#include "base/export.h"
#include "base/fault.h"
#include "journal/journal.h"
#include "journal/overlay_file.h"

enum { PAGE = BLOCKZ_OVERLAY_PAGE };

/* ---- Places ---- */

uint64_t overlay_data_off(const struct blockz_overlay *overlay)
{
	return OVERLAY_HEADER_LEN + overlay_pages_blocks(overlay->header.image_size) * OVERLAY_BLOCK_LEN;
}

uint64_t overlay_file_len(const struct blockz_overlay *overlay)
{
	uint64_t past = (PAGE - overlay->header.image_size % PAGE) % PAGE;
	return overlay_data_off(overlay) + overlay->header.image_size + past;
}

static int place_read(const struct blockz_overlay *overlay, void *buf, size_t len, uint64_t off)
{
	size_t got = 0;
	int error = overlay->place->ops->journal_read(overlay->place->ctx, buf, len, off, &got);
	return error == 0 && got < len ? EIO : error;
}

/* ---- Finding one ---- */

static enum blockz_status digest_ends(const struct blockz_store *file, uint64_t *ends_ret, struct blockz_fault *fault)
{
	struct journal_ends *ends = malloc(sizeof(*ends));
	if (ends == NULL)
		return fault_nomem(fault);
	enum blockz_status status = journal_ends_read(ends, file, fault);
	if (status == BLOCKZ_OK)
		*ends_ret = journal_ends_digest(ends);
	free(ends);
	return status;
}

static enum blockz_status digest_pieces(const struct blockz_overlay *overlay, uint64_t *pieces_ret, struct blockz_fault *fault)
{
	const struct blockz_source file = blockz_store_source(overlay->file);
	return overlay->digest != NULL ? overlay->digest(&file, pieces_ret, fault) : BLOCKZ_OK;
}

enum blockz_status overlay_identify(const struct blockz_overlay *overlay, struct overlay_identity *identity_ret,
				    struct blockz_fault *fault)
{
	struct overlay_identity identity = { .file_size = overlay->file->size };
	enum blockz_status status = digest_ends(overlay->file, &identity.ends, fault);
	if (status == BLOCKZ_OK)
		status = digest_pieces(overlay, &identity.pieces, fault);
	if (status == BLOCKZ_OK)
		*identity_ret = identity;
	return status;
}

/* What is there cannot be believed, which is nothing that fails. */
static enum blockz_status distrust(struct blockz_overlay *overlay, const char *note)
{
	overlay->state = BLOCKZ_OVERLAY_UNTRUSTED;
	overlay->note = note;
	overlay_pages_free(&overlay->pages);
	return BLOCKZ_OK;
}

static enum blockz_status read_failed(int error, struct blockz_fault *fault)
{
	return fault_errno(fault, error, BLOCKZ_UNKNOWN, "reading the overlay");
}

static enum blockz_status load_pages(struct blockz_overlay *overlay, uint64_t len, struct blockz_fault *fault)
{
	uint8_t block[OVERLAY_BLOCK_LEN];
	if (len != overlay_file_len(overlay))
		return distrust(overlay, "not as long as it has to be");
	if (!overlay_pages_init(&overlay->pages, overlay->header.image_size))
		return fault_nomem(fault);
	for (uint64_t i = 0; i < overlay->pages.block_count; i++) {
		int error = place_read(overlay, block, sizeof(block), OVERLAY_HEADER_LEN + i * OVERLAY_BLOCK_LEN);
		if (error != 0)
			return read_failed(error, fault);
		if (!overlay_pages_load(&overlay->pages, i, block))
			return distrust(overlay, "it says that it holds pages behind the end of the image");
	}
	return BLOCKZ_OK;
}

static bool may_be(const struct overlay_identity *found, const struct overlay_identity *known)
{
	return found->file_size == known->file_size && found->ends == known->ends;
}

/* A map is made only where the rest is as it has to be. */
static enum blockz_status judge(struct blockz_overlay *overlay, struct blockz_fault *fault)
{
	const struct overlay_header *header = &overlay->header;
	struct overlay_identity found = { .file_size = overlay->file->size };
	enum blockz_status status = digest_ends(overlay->file, &found.ends, fault);
	if (status == BLOCKZ_OK && (may_be(&found, &header->base) || may_be(&found, &header->next)))
		status = digest_pieces(overlay, &found.pieces, fault);
	if (status != BLOCKZ_OK)
		return status;
	overlay->is_there = true;
	if (overlay_identity_is(&found, &header->base))
		overlay->state = BLOCKZ_OVERLAY_OF_FILE;
	else if (overlay_identity_is(&found, &header->next))
		overlay->state = BLOCKZ_OVERLAY_COMMITTED;
	else
		overlay->state = BLOCKZ_OVERLAY_OF_OTHER_FILE;
	return BLOCKZ_OK;
}

static enum blockz_status load(struct blockz_overlay *overlay, uint64_t len, struct blockz_fault *fault)
{
	uint8_t p[OVERLAY_HEADER_LEN];
	if (len < sizeof(p))
		return distrust(overlay, "too short");
	int error = place_read(overlay, p, sizeof(p), 0);
	if (error != 0)
		return read_failed(error, fault);
	const char *wrong = overlay_header_load(p, &overlay->header);
	if (wrong != NULL)
		return distrust(overlay, wrong);
	enum blockz_status status = load_pages(overlay, len, fault);
	return status == BLOCKZ_OK && overlay->state != BLOCKZ_OVERLAY_UNTRUSTED ? judge(overlay, fault) : status;
}

static enum blockz_status look(struct blockz_overlay *overlay, struct blockz_fault *fault)
{
	uint64_t len = 0;
	int error = overlay->place->ops->journal_find(overlay->place->ctx, &len);
	switch (error) {
	case 0:
		return load(overlay, len, fault);
	case ENOENT:
		return BLOCKZ_OK;
	case EPERM:
		return distrust(overlay, "it is not of the image's owner, root, or you");
	case EINVAL:
		return distrust(overlay, "it is not a regular file with one link, or others may write to it");
	case EACCES:
		return distrust(overlay, "you may not read it");
	case EWOULDBLOCK:
		return fault_set(fault, BLOCKZ_LOCKED, BLOCKZ_UNKNOWN, "its overlay is locked: another program has opened it");
	default:
		return fault_errno(fault, error, BLOCKZ_UNKNOWN, "opening the overlay");
	}
}

/* ---- Opening ---- */

static enum blockz_status open_at(struct overlay_file *beside, const struct blockz_store *place, const struct blockz_store *file,
				  overlay_digest *digest, enum blockz_overlay_mode mode, struct blockz_overlay **overlay_ret,
				  struct blockz_fault *fault)
{
	struct blockz_overlay *overlay = calloc(1, sizeof(*overlay));
	if (overlay == NULL) {
		overlay_file_free(beside);
		return fault_nomem(fault);
	}
	overlay->beside = beside;
	overlay->place = place;
	overlay->file = file;
	overlay->digest = digest;
	overlay->writable = mode == BLOCKZ_OVERLAY_WRITE;
	pthread_mutex_init(&overlay->sync_lock, NULL);
	enum blockz_status status = place != NULL ? look(overlay, fault) : BLOCKZ_OK;
	if (status == BLOCKZ_OK)
		*overlay_ret = overlay;
	else
		blockz_overlay_close(overlay);
	return status;
}

enum blockz_status overlay_new(const struct blockz_store *place, const struct blockz_store *file, overlay_digest *digest,
			       enum blockz_overlay_mode mode, struct blockz_overlay **overlay_ret, struct blockz_fault *fault)
{
	return open_at(NULL, place, file, digest, mode, overlay_ret, fault);
}

enum blockz_status overlay_open_beside(int dirfd, const char *name, const struct blockz_store *file, overlay_digest *digest,
				       enum blockz_overlay_mode mode, struct blockz_overlay **overlay_ret,
				       struct blockz_fault *fault)
{
	struct overlay_file *beside = NULL;
	enum blockz_status status = overlay_file_new(dirfd, name, mode, &beside, fault);
	if (status != BLOCKZ_OK)
		return status;
	return open_at(beside, overlay_file_place(beside), file, digest, mode, overlay_ret, fault);
}

EXPORT void blockz_overlay_close(struct blockz_overlay *overlay)
{
	if (overlay == NULL)
		return;
	overlay_pages_free(&overlay->pages);
	overlay_file_free(overlay->beside);
	pthread_mutex_destroy(&overlay->sync_lock);
	free(overlay);
}

/* ---- What it holds ---- */

/* Image bytes of count pages, the last of which may be the image's. */
static uint64_t bytes_of(const struct blockz_overlay *overlay, uint64_t count)
{
	uint64_t past = overlay->pages.count * PAGE - overlay->header.image_size;
	bool has_last = count > 0 && overlay_pages_has(&overlay->pages, overlay->pages.count - 1);
	return count * PAGE - (has_last ? past : 0);
}

EXPORT struct blockz_overlay_info blockz_overlay_info(const struct blockz_overlay *overlay)
{
	struct blockz_overlay_info info = { .state = overlay->state, .note = overlay->note };
	if (overlay->is_there) {
		info.image_size = overlay->header.image_size;
		info.pages = overlay->pages.held;
		info.bytes = bytes_of(overlay, info.pages);
	}
	return info;
}

EXPORT enum blockz_status blockz_overlay_refuse(const struct blockz_overlay *overlay, struct blockz_fault *fault)
{
	enum blockz_remedy remedy = BLOCKZ_REMEDY_RECOVER;
	switch (overlay->state) {
	case BLOCKZ_OVERLAY_NONE:
		return BLOCKZ_OK;
	case BLOCKZ_OVERLAY_OF_FILE:
		fault_set(fault, BLOCKZ_NEEDS_RECOVERY, BLOCKZ_UNKNOWN,
			  "its overlay is beside it, with %" PRIu64 " bytes that were written to a served disk and are not in the "
			  "file", bytes_of(overlay, overlay->pages.held));
		break;
	case BLOCKZ_OVERLAY_COMMITTED:
		fault_set(fault, BLOCKZ_NEEDS_RECOVERY, BLOCKZ_UNKNOWN, "its overlay was committed, and is still beside it");
		break;
	case BLOCKZ_OVERLAY_OF_OTHER_FILE:
		remedy = BLOCKZ_REMEDY_COMMIT;
		fault_set(fault, BLOCKZ_NEEDS_RECOVERY, BLOCKZ_UNKNOWN,
			  "the overlay beside it is another file's, or the file was changed since; nothing was touched");
		break;
	default:
		remedy = BLOCKZ_REMEDY_DROP;
		fault_set(fault, BLOCKZ_NEEDS_RECOVERY, BLOCKZ_UNKNOWN, "overlay: %s; it is left as it is", overlay->note);
	}
	return fault_remedy(fault, remedy);
}

EXPORT bool blockz_overlay_range_at(const struct blockz_overlay *overlay, uint64_t off, struct blockz_range *range_ret)
{
	const struct overlay_pages *pages = &overlay->pages;
	uint64_t page = off / PAGE, first = overlay_pages_find(pages, page, pages->count, true);
	if (first >= pages->count)
		return false;
	uint64_t start = first > page ? first * PAGE : off;
	uint64_t end = min(overlay_pages_find(pages, first, pages->count, false) * PAGE, overlay->header.image_size);
	if (start >= end)
		return false; /* off is behind the end of the image */
	*range_ret = (struct blockz_range){ start, end };
	return true;
}

bool overlay_holds(const struct blockz_overlay *overlay, uint64_t page)
{
	return overlay_pages_has(&overlay->pages, page);
}

uint64_t overlay_run_end(const struct blockz_overlay *overlay, uint64_t off, uint64_t end, bool *held_ret)
{
	bool held = overlay_holds(overlay, off / PAGE);
	uint64_t page = overlay_pages_find(&overlay->pages, off / PAGE, (end + PAGE - 1) / PAGE, !held);
	*held_ret = held;
	return min(page * PAGE, end);
}

static int read_source(void *ctx, void *buf, size_t len, uint64_t off, size_t *got_ret)
{
	const struct blockz_overlay *overlay = ctx;
	uint64_t left = off < overlay->header.image_size ? overlay->header.image_size - off : 0;
	len = (size_t)min(len, left);
	bool held = true;
	if (len > 0 && overlay_run_end(overlay, off, off + len, &held) < off + len)
		held = false;
	int error = held ? place_read(overlay, buf, len, overlay_data_off(overlay) + off) : EINVAL;
	if (error == 0)
		*got_ret = len;
	return error;
}

EXPORT struct blockz_source blockz_overlay_source(const struct blockz_overlay *overlay)
{
	static const struct blockz_source_ops ops = { .read = read_source };
	return (struct blockz_source){ &ops, (void *)(uintptr_t)overlay, overlay->header.image_size };
}

static size_t count_runs(const struct blockz_overlay *overlay)
{
	struct blockz_range run;
	size_t count = 0;
	for (uint64_t off = 0; blockz_overlay_range_at(overlay, off, &run); off = run.end)
		count++;
	return count;
}

EXPORT enum blockz_status blockz_overlay_edits(const struct blockz_overlay *overlay, struct blockz_edit **edits_ret,
					       size_t *count_ret, struct blockz_fault *fault)
{
	const struct blockz_source data = blockz_overlay_source(overlay);
	struct blockz_range run = { 0 };
	size_t count = count_runs(overlay);
	struct blockz_edit *edits = calloc(count + 1, sizeof(*edits));
	if (edits == NULL)
		return fault_nomem(fault);
	for (size_t i = 0; i < count && blockz_overlay_range_at(overlay, run.end, &run); i++)
		edits[i] = (struct blockz_edit){ .range = run, .data = data, .data_off = run.start };
	*edits_ret = edits;
	*count_ret = count;
	return BLOCKZ_OK;
}

enum blockz_status overlay_read(const struct blockz_overlay *overlay, void *buf, size_t len, uint64_t off,
				struct blockz_fault *fault)
{
	int error = place_read(overlay, buf, len, overlay_data_off(overlay) + off);
	return error == 0 ? BLOCKZ_OK : read_failed(error, fault);
}

bool overlay_is_writable(const struct blockz_overlay *overlay)
{
	return overlay->writable;
}
