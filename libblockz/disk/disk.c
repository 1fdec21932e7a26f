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
#include "disk/bring_in.h"
#include "disk/dirty.h"
#include "disk/image.h"
#include "disk/overlaid.h"
#include "journal/journal.h"
#include "journal/overlay.h"
#include "edit/may_patch.h"
#include "parallel/gate.h"

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
	uint64_t image_size;
	struct gate reading;       /* whoever uses the image is inside, and who makes it another one closes it */
	struct disk_image image;
	_Atomic bool broken;       /* the file is in the middle of an edit: it cannot be read any more */
	struct blockz_fault why;   /* once broken is set */
	struct dirty *dirty; /* NULL: its raw ranges are not written to */
	struct overlaid *overlaid; /* NULL: there is no overlay */
	pthread_mutex_t committing; /* of the overlay */
	bool commits;               /* a flush tries to */
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
static void ask_ahead(struct blockz_disk *disk, uint64_t off)
{
	const struct blockz_map *map = disk->image.map;
	const uint64_t first = map_edge_behind(map, off);
	uint64_t start = first;
	for (size_t i = 0; i < AHEAD && start < map->image_size; i++) {
		uint64_t end = map_edge_behind(map, start);
		struct segment segment = disk_image_segment(&disk->image, start, end);
		if (segment.kind != BLOCKZ_COMPRESSED || segment.is_long || end - first > disk->options.cache / 2)
			break;
		if (!piece_cache_has(disk->image.cache, start) && ahead_push(&disk->ahead, start))
			wake_thread(disk);
		start = end;
	}
}

static void note_read(struct blockz_disk *disk, uint64_t off, uint64_t end)
{
	struct segment last = disk_image_segment(&disk->image, end - 1, end);
	if (last.kind != BLOCKZ_COMPRESSED)
		return;
	pthread_mutex_lock(&disk->lock);
	if (ahead_is_sequential(&disk->ahead, off, end))
		ask_ahead(disk, end - 1);
	pthread_mutex_unlock(&disk->lock);
}

static void prefetch(struct blockz_disk *disk, uint64_t off)
{
	gate_enter(&disk->reading);
	if (!disk->broken)
		disk_image_prefetch(&disk->image, off);
	gate_leave(&disk->reading);
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
		uint64_t off;
		uint64_t writes = disk->dirty != NULL ? dirty_writes(disk->dirty) : 0;
		if (writes != seen) {
			seen = writes;
			since = seconds();
		}
		if (ahead_pop(&disk->ahead, &off)) {
			pthread_mutex_unlock(&disk->lock);
			prefetch(disk, off);
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
	disk->commits = overlay_is_writable(overlay) && disk->options.commit == BLOCKZ_COMMIT_FLUSH &&
			disk->options.scratch != NULL && disk->image.spool == NULL;
	return status == BLOCKZ_OK ? overlaid_new(overlay, &disk->image, &disk->overlaid, fault) : status;
}

static enum blockz_status start_disk(struct blockz_disk *disk, struct blockz_fault *fault)
{
	struct blockz_map *map = NULL;
	enum blockz_status status = blockz_map_read(&disk->file, NULL, &map, fault);
	if (status == BLOCKZ_OK)
		status = disk_image_init(&disk->image, &disk->file, map, disk->options.cache, &disk->options, fault);
	if (status != BLOCKZ_OK)
		return status;
	disk->image_size = map->image_size;
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
	gate_destroy(&disk->reading);
	pthread_mutex_destroy(&disk->committing);
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
	gate_init(&disk->reading);
	pthread_mutex_init(&disk->committing, NULL);
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
	uint64_t size = disk->image_size;
	if (off <= size && len <= size - off)
		return BLOCKZ_OK;
	return fault_set(fault, BLOCKZ_USAGE, BLOCKZ_UNKNOWN,
			 "a request for %" PRIu64 " byte%s at %" PRIu64 ", the image has %" PRIu64, len, plural(len), off, size);
}

/* Enters the gate, or fails. */
static enum blockz_status begin_reading(struct blockz_disk *disk, struct blockz_fault *fault)
{
	gate_enter(&disk->reading);
	if (!disk->broken)
		return BLOCKZ_OK;
	gate_leave(&disk->reading);
	fault_set(fault, BLOCKZ_FAILED, disk->why.offset, "cannot be read since an error: %s", disk->why.text);
	return fault_state(fault, BLOCKZ_FAILED, BLOCKZ_IMAGE_NEEDS_RECOVERY);
}

static enum blockz_status read_image(struct blockz_disk *disk, void *buf, size_t len, uint64_t off, struct blockz_fault *fault)
{
	return disk->overlaid != NULL ? overlaid_read(disk->overlaid, buf, len, off, fault)
				      : disk_image_read(&disk->image, buf, len, off, fault);
}

EXPORT enum blockz_status blockz_disk_read(struct blockz_disk *disk, void *buf, size_t len, uint64_t off,
					   struct blockz_fault *fault)
{
	enum blockz_status status = check_range(disk, off, len, fault);
	if (status != BLOCKZ_OK || len == 0)
		return status;
	status = begin_reading(disk, fault);
	if (status != BLOCKZ_OK)
		return status;
	note_read(disk, off, off + len);
	status = read_image(disk, buf, len, off, fault);
	gate_leave(&disk->reading);
	return status;
}

EXPORT enum blockz_status blockz_disk_peek(struct blockz_disk *disk, void *buf, size_t len, uint64_t off,
					   struct blockz_fault *fault)
{
	enum blockz_status status = check_range(disk, off, len, fault);
	if (status == BLOCKZ_OK)
		status = begin_reading(disk, fault);
	if (status != BLOCKZ_OK)
		return status;
	status = read_image(disk, buf, len, off, fault);
	gate_leave(&disk->reading);
	return status;
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

/* ---- Committing an overlay at a flush ---- */

/* The file is as the plan makes it, and so is what is read of it from here on. */
static void renew_image(struct blockz_disk *disk, struct bring_in *bring_in)
{
	struct disk_image old = disk->image;
	disk->image = bring_in->image;
	bring_in->image = old;
}

/*
 * Carries the plan out while nobody reads, and drops the overlay, which nobody may be about to read by then.  *why tells what is
 * left of the file if that fails.
 */
static enum blockz_status carry_out(struct blockz_disk *disk, struct bring_in *bring_in, struct blockz_fault *why)
{
	gate_close(&disk->reading);
	enum blockz_status status = blockz_plan_apply(bring_in->plan, disk->store, why);
	if (status == BLOCKZ_OK || why->state == BLOCKZ_IMAGE_UPDATED) {
		renew_image(disk, bring_in);
	} else if (why->state == BLOCKZ_IMAGE_NEEDS_RECOVERY) {
		disk->why = *why;
		disk->broken = true;
	}
	if (status == BLOCKZ_OK)
		status = blockz_overlay_drop(disk->options.overlay, why);
	gate_open(&disk->reading);
	return status;
}

/* What fails and leaves the file as it was is left to the end: what was written is durable in the overlay. */
static enum blockz_status settle_failure(struct blockz_disk *disk, enum blockz_status status, const struct blockz_fault *why,
					 struct blockz_fault *fault)
{
	struct blockz_overlay *overlay = disk->options.overlay;
	disk->commits = false;
	if (why->state == BLOCKZ_IMAGE_UPDATED || why->state == BLOCKZ_IMAGE_NEEDS_RECOVERY)
		overlay_give_up(overlay, why);
	if (overlay_is_good(overlay))
		return BLOCKZ_OK;
	if (fault != NULL)
		*fault = *why;
	return status;
}

static enum blockz_status bring_in(struct blockz_disk *disk, struct blockz_fault *fault)
{
	struct bring_in bring_in;
	struct blockz_fault why = { .status = BLOCKZ_OK };
	overlaid_close_gate(disk->overlaid);
	enum blockz_status status = bring_in_plan(&bring_in, disk->options.overlay, &disk->image, disk->options.scratch, &why);
	if (status == BLOCKZ_OK)
		status = carry_out(disk, &bring_in, &why);
	if (status != BLOCKZ_OK)
		status = settle_failure(disk, status, &why, fault);
	overlaid_open_gate(disk->overlaid);
	bring_in_free(&bring_in);
	return status;
}

static enum blockz_status flush_anywhere(struct blockz_disk *disk, struct blockz_fault *fault)
{
	struct blockz_overlay *overlay = disk->options.overlay;
	enum blockz_status status = flush_overlay(disk, fault);
	if (status != BLOCKZ_OK)
		return status;
	pthread_mutex_lock(&disk->committing);
	if (disk->commits && bring_in_is_quick(overlay, disk->image.map))
		status = bring_in(disk, fault);
	pthread_mutex_unlock(&disk->committing);
	return status;
}

EXPORT enum blockz_status blockz_disk_flush(struct blockz_disk *disk, struct blockz_fault *fault)
{
	if (disk->overlaid != NULL)
		return flush_anywhere(disk, fault);
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
		status = begin_reading(disk, fault);
	if (status != BLOCKZ_OK)
		return status;
	status = extent_of(disk, off, off + len, zeros_ret, &end, fault);
	gate_leave(&disk->reading);
	if (status == BLOCKZ_OK)
		*len_ret = end - off;
	return status;
}
