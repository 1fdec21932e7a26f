/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A compressed file in use as a disk: reads through the cache, writes through dirty.c, and one thread behind both.  With an
 * overlay, overlaid.c is before the cache, and in the place of dirty.c.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "base/export.h"
#include "base/fault.h"
#include "base/plural.h"
#include "blockz_disk.h"
#include "disk/ahead.h"
#include "disk/dirty.h"
#include "disk/image.h"
#include "disk/overlaid.h"
#include "journal/journal.h"
#include "journal/overlay.h"
#include "mapped/may_patch.h"

enum {
	/*
	 * A guest on Linux writes back every 5 seconds what was changed, so a disk that is written to at all is seldom
	 * left alone for longer.
	 */
	IDLE_SECONDS = 6,
	AHEAD = 2, /* pieces that are decoded ahead of a sequential read */
};

struct blockz_disk {
	const struct blockz_store *store;
	struct blockz_disk_options options;
	struct blockz_source file;
	struct disk_image image;
	struct dirty *dirty; /* NULL: its raw ranges are not written to */
	struct overlaid *overlaid; /* NULL: there is no overlay */
	pthread_t thread;
	bool started;
	_Atomic bool watching; /* the thread waits for writes to stop coming */

	pthread_mutex_t lock; /* of all below */
	pthread_cond_t wanted;
	bool stop;
	struct ahead ahead;
};

/* ---- Reading ahead ---- */

static void *attend(void *ctx);

/*
 * Under the lock: there is something to do for the thread, which is started when that is so first.  Where it cannot be,
 * nothing is read ahead, and only a flush or the end commits.
 */
static void wake_thread(struct blockz_disk *disk)
{
	if (!disk->started)
		disk->started = pthread_create(&disk->thread, NULL, attend, disk) == 0;
	pthread_cond_signal(&disk->wanted);
}

/* A read has ended in a compressed piece: what follows is wanted soon, as far as it takes half of the cache. */
static void ask_ahead(struct blockz_disk *disk, size_t piece)
{
	uint64_t len = 0;
	for (size_t i = piece + 1; i <= piece + AHEAD && i < disk->image.map->piece_count; i++) {
		len += piece_image_len(disk->image.map, i);
		struct segment segment = disk_image_segment(&disk->image, disk->image.map->pieces[i].start, UINT64_MAX);
		if (segment.kind != BLOCKZ_COMPRESSED || len > disk->options.cache / 2)
			break;
		if (!piece_cache_has(disk->image.cache, i) && ahead_push(&disk->ahead, i))
			wake_thread(disk);
	}
}

static void note_read(struct blockz_disk *disk, uint64_t off, uint64_t end)
{
	struct segment last = disk_image_segment(&disk->image, end - 1, end);
	if (last.kind != BLOCKZ_COMPRESSED)
		return;
	pthread_mutex_lock(&disk->lock);
	if (ahead_is_sequential(&disk->ahead, off, end))
		ask_ahead(disk, last.piece);
	pthread_mutex_unlock(&disk->lock);
}

/* ---- The thread: reads ahead, and commits when no write has come for some time ---- */

static time_t seconds(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec;
}

/* Under the lock: waits until there is something to do, or for a second. */
static void wait_for_work(struct blockz_disk *disk)
{
	struct timespec until;
	if (!disk->watching) {
		pthread_cond_wait(&disk->wanted, &disk->lock);
		return;
	}
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec++;
	pthread_cond_timedwait(&disk->wanted, &disk->lock, &until);
}

static void *attend(void *ctx)
{
	struct blockz_disk *disk = ctx;
	uint64_t seen = 0;
	time_t since = seconds();
	pthread_mutex_lock(&disk->lock);
	while (!disk->stop) {
		size_t piece;
		uint64_t writes = disk->dirty != NULL ? dirty_writes(disk->dirty) : 0;
		if (writes != seen) {
			seen = writes;
			since = seconds();
		}
		if (ahead_pop(&disk->ahead, &piece)) {
			pthread_mutex_unlock(&disk->lock);
			piece_cache_prefetch(disk->image.cache, piece);
			pthread_mutex_lock(&disk->lock);
		} else if (disk->watching && seconds() - since >= IDLE_SECONDS) {
			disk->watching = false; /* a write from here on has it set again */
			pthread_mutex_unlock(&disk->lock);
			dirty_flush(disk->dirty, true, NULL); /* what fails is remembered */
			pthread_mutex_lock(&disk->lock);
		} else {
			wait_for_work(disk);
		}
	}
	pthread_mutex_unlock(&disk->lock);
	return NULL;
}

static void watch_writes(struct blockz_disk *disk)
{
	if (disk->watching)
		return;
	pthread_mutex_lock(&disk->lock);
	disk->watching = true;
	wake_thread(disk);
	pthread_mutex_unlock(&disk->lock);
}

/* ---- Opening and closing ---- */

static enum blockz_status refuse_store(struct blockz_fault *fault)
{
	return fault_set(fault, BLOCKZ_UNSUPPORTED, BLOCKZ_UNKNOWN, "the file was not opened for writing with a journal");
}

/* What an overlay holds has to be something that can be brought into the file. */
static enum blockz_status require_editable(const struct blockz_disk *disk, struct blockz_fault *fault)
{
	const struct format *format = disk->image.map->format;
	if (disk->store->ops->journal_create == NULL)
		return refuse_store(fault);
	if (format->renew_index == NULL)
		return fault_set(fault, BLOCKZ_UNSUPPORTED, BLOCKZ_UNKNOWN, "%s files cannot be encoded again", format->public.name);
	enum blockz_status status = may_patch_map(disk->image.map, fault);
	return status == BLOCKZ_OK ? journal_refuse(disk->store, fault) : status;
}

static enum blockz_status start_overlaid(struct blockz_disk *disk, struct blockz_fault *fault)
{
	struct blockz_overlay *overlay = disk->options.overlay;
	enum blockz_status status = overlay_is_writable(overlay) ? require_editable(disk, fault) : BLOCKZ_OK;
	return status == BLOCKZ_OK ? overlaid_new(overlay, &disk->image, &disk->overlaid, fault) : status;
}

static enum blockz_status start_disk(struct blockz_disk *disk, struct blockz_fault *fault)
{
	struct blockz_map *map = NULL;
	enum blockz_status status = blockz_map_read(&disk->file, NULL, &map, fault);
	if (status == BLOCKZ_OK)
		status = disk_image_init(&disk->image, &disk->file, map, disk->options.cache, fault);
	if (status != BLOCKZ_OK)
		return status;
	if (disk->options.overlay != NULL)
		return start_overlaid(disk, fault);
	if (disk->store->ops->journal_create == NULL || may_patch_map(disk->image.map, NULL) != BLOCKZ_OK)
		return BLOCKZ_OK;
	return dirty_new(disk->store, &disk->file, disk->image.map, &disk->dirty, fault);
}

static void stop_thread(struct blockz_disk *disk)
{
	if (disk->started) {
		pthread_mutex_lock(&disk->lock);
		disk->stop = true;
		pthread_cond_signal(&disk->wanted);
		pthread_mutex_unlock(&disk->lock);
		pthread_join(disk->thread, NULL);
	}
	disk->started = false;
}

static void disk_free(struct blockz_disk *disk)
{
	dirty_free(disk->dirty);
	overlaid_free(disk->overlaid);
	disk_image_free(&disk->image);
	pthread_cond_destroy(&disk->wanted);
	pthread_mutex_destroy(&disk->lock);
	free(disk);
}

EXPORT enum blockz_status blockz_disk_open(const struct blockz_store *store, const struct blockz_disk_options *options,
					   struct blockz_disk **disk_ret, struct blockz_fault *fault)
{
	struct blockz_disk *disk = calloc(1, sizeof(*disk));
	pthread_condattr_t clock;
	if (disk == NULL)
		return fault_nomem(fault);
	disk->store = store;
	disk->options = *options;
	disk->file = blockz_store_source(store);
	pthread_mutex_init(&disk->lock, NULL);
	pthread_condattr_init(&clock);
	pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
	pthread_cond_init(&disk->wanted, &clock);
	pthread_condattr_destroy(&clock);
	enum blockz_status status = start_disk(disk, fault);
	if (status == BLOCKZ_OK)
		*disk_ret = disk;
	else
		disk_free(disk);
	return status;
}

static enum blockz_status flush_overlay(const struct blockz_disk *disk, struct blockz_fault *fault)
{
	struct blockz_overlay *overlay = disk->options.overlay;
	return overlay_is_writable(overlay) ? overlay_flush(overlay, fault) : BLOCKZ_OK;
}

EXPORT enum blockz_status blockz_disk_close(struct blockz_disk *disk, struct blockz_fault *fault)
{
	enum blockz_status status = BLOCKZ_OK;
	if (disk == NULL)
		return status;
	stop_thread(disk);
	if (disk->dirty != NULL && (dirty_writes(disk->dirty) > 0 || !dirty_is_good(disk->dirty)))
		status = dirty_flush(disk->dirty, true, fault);
	if (disk->overlaid != NULL)
		status = flush_overlay(disk, fault);
	disk_free(disk);
	return status;
}

EXPORT const struct blockz_map *blockz_disk_map(const struct blockz_disk *disk)
{
	return disk->image.map;
}

EXPORT bool blockz_disk_is_writable(const struct blockz_disk *disk)
{
	const struct blockz_overlay *overlay = disk->options.overlay;
	if (overlay != NULL)
		return overlay_is_writable(overlay) && overlay_is_good(overlay);
	return disk->dirty != NULL && dirty_is_good(disk->dirty);
}

/* ---- Requests ---- */

static enum blockz_status check_range(const struct blockz_disk *disk, uint64_t off, uint64_t len,
				      struct blockz_fault *fault)
{
	uint64_t size = disk->image.map->image_size;
	if (off <= size && len <= size - off)
		return BLOCKZ_OK;
	return fault_set(fault, BLOCKZ_USAGE, BLOCKZ_UNKNOWN,
			 "a request for %" PRIu64 " byte%s at %" PRIu64 ", the image has %" PRIu64, len, plural(len), off, size);
}

EXPORT enum blockz_status blockz_disk_read(struct blockz_disk *disk, void *buf, size_t len, uint64_t off,
					   struct blockz_fault *fault)
{
	enum blockz_status status = check_range(disk, off, len, fault);
	if (status != BLOCKZ_OK || len == 0)
		return status;
	note_read(disk, off, off + len);
	return disk->overlaid != NULL ? overlaid_read(disk->overlaid, buf, len, off, fault)
				      : disk_image_read(&disk->image, buf, len, off, fault);
}

/* Says why the disk is not writable. */
static enum blockz_status refuse_writing(const struct blockz_disk *disk, struct blockz_fault *fault)
{
	if (disk->overlaid != NULL)
		return fault_set(fault, BLOCKZ_UNSUPPORTED, BLOCKZ_UNKNOWN, "the overlay was opened to be read");
	enum blockz_status status = may_patch_map(disk->image.map, fault);
	return status == BLOCKZ_OK ? refuse_store(fault) : status;
}

EXPORT enum blockz_status blockz_disk_write(struct blockz_disk *disk, const void *buf, size_t len, uint64_t off,
					    struct blockz_fault *fault)
{
	enum blockz_status status = check_range(disk, off, len, fault);
	if (status != BLOCKZ_OK)
		return status;
	if (disk->overlaid != NULL && overlay_is_writable(disk->options.overlay))
		return overlaid_write(disk->overlaid, buf, len, off, fault);
	if (disk->dirty == NULL)
		return refuse_writing(disk, fault);
	status = dirty_write(disk->dirty, buf, len, off, fault);
	if (status == BLOCKZ_OK)
		watch_writes(disk);
	return status;
}

EXPORT enum blockz_status blockz_disk_flush(struct blockz_disk *disk, struct blockz_fault *fault)
{
	if (disk->overlaid != NULL)
		return flush_overlay(disk, fault);
	if (disk->dirty == NULL)
		return BLOCKZ_OK;
	return dirty_flush(disk->dirty, disk->options.commit == BLOCKZ_COMMIT_FLUSH, fault);
}

static enum blockz_status extent_of(const struct blockz_disk *disk, uint64_t off, uint64_t end, bool *zeros_ret,
				    uint64_t *end_ret, struct blockz_fault *fault)
{
	return disk->overlaid != NULL ? overlaid_extent(disk->overlaid, off, end, zeros_ret, end_ret, fault)
				      : disk_image_extent(&disk->image, off, end, zeros_ret, end_ret, fault);
}

EXPORT enum blockz_status blockz_disk_extent(struct blockz_disk *disk, uint64_t off, uint64_t len, bool *zeros_ret,
					     uint64_t *len_ret, struct blockz_fault *fault)
{
	enum blockz_status status = check_range(disk, off, len, fault);
	uint64_t end = off;
	if (status == BLOCKZ_OK)
		status = extent_of(disk, off, off + len, zeros_ret, &end, fault);
	if (status == BLOCKZ_OK)
		*len_ret = end - off;
	return status;
}
