/* SPDX-License-Identifier: BSD-3-Clause */
/* Units are marked in the journal before they are written to, and made clean, with checks that are right, by a commit. */
#include "disk/dirty.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/checked.h"
#include "base/fault.h"
#include "disk/dirty_checks.h"
#include "disk/dirty_units.h"
#include "io/access.h"
#include "journal/journal.h"
#include "edit/may_patch.h"
#include "parallel/gate.h"

enum { MARK_AHEAD = 8 << 20 };

struct dirty {
	const struct blockz_store *store;
	const struct blockz_map *map;
	struct units units;
	struct gate gate;

	pthread_mutex_t marking; /* of all up to the next lock */
	pthread_cond_t marked;   /* units are no longer UNIT_MARKING */
	struct old_checks old;   /* what the old content is verified with */
	size_t *pending;         /* units whose records wait to be written */
	size_t pending_count;
	bool writing_records;    /* a thread is at it, without the lock */

	/* The thread that writes records has these; a commit does when the gate is closed. */
	struct intent intent;
	bool loaded, journalled;
	_Atomic bool journal_is_there; /* or may be */
	_Atomic size_t recorded;       /* units in the journal */

	pthread_mutex_t sync_lock; /* a sync that fails says so once, and to one thread only */
	_Atomic bool failed;
	struct blockz_fault failure; /* once failed is set; written under sync_lock */
	_Atomic uint64_t writes;
};

/* ---- Failure: from then on nothing is written ---- */

static enum blockz_status fail_locked(struct dirty *dirty, const struct blockz_fault *why)
{
	if (!dirty->failed) {
		dirty->failure = *why;
		dirty->failed = true;
	}
	return why->status;
}

static enum blockz_status fail(struct dirty *dirty, const struct blockz_fault *why)
{
	pthread_mutex_lock(&dirty->sync_lock);
	fail_locked(dirty, why);
	pthread_mutex_unlock(&dirty->sync_lock);
	return why->status;
}

static enum blockz_status refuse_failed(const struct dirty *dirty, struct blockz_fault *fault)
{
	enum blockz_state state = dirty->failure.state;
	/* Another thread may have made, or dropped, the journal since. */
	if (dirty->journal_is_there)
		state = BLOCKZ_IMAGE_NEEDS_RECOVERY;
	else if (state == BLOCKZ_IMAGE_NEEDS_RECOVERY)
		state = BLOCKZ_IMAGE_UNCHANGED;
	fault_set(fault, BLOCKZ_FAILED, dirty->failure.offset, "read-only since an error: %s", dirty->failure.text);
	return fault_state(fault, BLOCKZ_FAILED, state);
}

static void report(struct blockz_fault *fault, const struct blockz_fault *why)
{
	if (fault != NULL)
		*fault = *why;
}

/* What an error leaves of a file whose checks are not right, or which has none. */
static enum blockz_state state_now(const struct dirty *dirty)
{
	if (dirty->journal_is_there)
		return BLOCKZ_IMAGE_NEEDS_RECOVERY;
	return dirty->units.recorded == dirty->units.count ? BLOCKZ_IMAGE_UNCHANGED : BLOCKZ_IMAGE_TORN;
}

static enum blockz_status sync_data(struct dirty *dirty, struct blockz_fault *fault)
{
	struct blockz_fault why = { .status = BLOCKZ_OK };
	pthread_mutex_lock(&dirty->sync_lock);
	enum blockz_status status = dirty->failed ? refuse_failed(dirty, &why) : sync_store(dirty->store, &why);
	if (status != BLOCKZ_OK && !dirty->failed) {
		why.state = state_now(dirty);
		fail_locked(dirty, &why);
	}
	pthread_mutex_unlock(&dirty->sync_lock);
	if (status != BLOCKZ_OK)
		report(fault, &why);
	return status;
}

/* ---- Marking ---- */

static struct intent_unit *gather_units(const struct units *units, const size_t *indexes, size_t count)
{
	struct intent_unit *gathered = calloc(count + 1, sizeof(*gathered));
	for (size_t i = 0; i < count && gathered != NULL; i++)
		gathered[i] = unit_intent(units, indexes[i]);
	return gathered;
}

/* Makes the records of a batch of units durable; fault is not NULL. */
static enum blockz_status write_records(struct dirty *dirty, const size_t *batch, size_t count, bool *harmless_ret,
					struct blockz_fault *fault)
{
	enum blockz_status status = BLOCKZ_OK;
	struct intent_unit *units = gather_units(&dirty->units, batch, count);
	*harmless_ret = true;
	if (units == NULL)
		return fault_nomem(fault);
	if (!dirty->loaded) {
		if (dirty->intent.checks == NULL)
			status = dirty_collect(&dirty->intent, &dirty->units, fault);
		if (status == BLOCKZ_OK)
			status = intent_load(&dirty->intent, dirty->store, fault);
		dirty->loaded = status == BLOCKZ_OK;
	}
	if (status == BLOCKZ_OK && !dirty->journalled) {
		dirty->journal_is_there = true;
		status = intent_create(&dirty->intent, dirty->store, units, count, harmless_ret, fault);
		dirty->journalled = status == BLOCKZ_OK;
		dirty->journal_is_there = status == BLOCKZ_OK || fault->state == BLOCKZ_IMAGE_NEEDS_RECOVERY;
	} else if (status == BLOCKZ_OK) {
		*harmless_ret = false;
		status = intent_append(&dirty->intent, dirty->store, units, count, fault);
		if (status != BLOCKZ_OK)
			fault_state(fault, status, BLOCKZ_IMAGE_NEEDS_RECOVERY);
	}
	free(units);
	return status;
}

static void set_states(struct dirty *dirty, const size_t *batch, size_t count, enum unit_state state)
{
	for (size_t i = 0; i < count; i++)
		atomic_store_explicit(&dirty->units.items[batch[i]].state, state, memory_order_release);
}

/* Writes the records that wait; the lock is released for it, so that more can gather meanwhile. */
static enum blockz_status write_pending(struct dirty *dirty, struct blockz_fault *fault)
{
	struct blockz_fault why = { .status = BLOCKZ_OK };
	size_t *batch = dirty->pending, count = dirty->pending_count;
	bool harmless = true;
	dirty->pending = NULL;
	dirty->pending_count = 0;
	dirty->writing_records = true;
	pthread_mutex_unlock(&dirty->marking);
	enum blockz_status status = write_records(dirty, batch, count, &harmless, &why);
	if (status != BLOCKZ_OK && !harmless)
		fail(dirty, &why);
	if (status == BLOCKZ_OK)
		dirty->recorded += count;
	else
		report(fault, &why);
	pthread_mutex_lock(&dirty->marking);
	set_states(dirty, batch, count, status == BLOCKZ_OK ? UNIT_DIRTY : UNIT_CLEAN);
	dirty->writing_records = false;
	pthread_cond_broadcast(&dirty->marked);
	free(batch);
	return status;
}

/* Verifies a clean unit and has its record wait, if it has one. */
static enum blockz_status prepare_unit(struct dirty *dirty, size_t index, struct blockz_fault *fault)
{
	struct unit_item *item = &dirty->units.items[index];
	bool has_check = false;
	enum blockz_status status = old_checks_take(&dirty->old, &dirty->units, index, &has_check, fault);
	if (status != BLOCKZ_OK)
		return status;
	if (has_check) {
		size_t *room = array_room(dirty->pending, dirty->pending_count, sizeof(*room));
		if (room == NULL)
			return fault_nomem(fault);
		dirty->pending = room;
		dirty->pending[dirty->pending_count++] = index;
	}
	atomic_store_explicit(&item->state, has_check ? UNIT_MARKING : UNIT_DIRTY, memory_order_release);
	return BLOCKZ_OK;
}

static enum unit_state state_of(const struct dirty *dirty, size_t index)
{
	return (enum unit_state)atomic_load_explicit(&dirty->units.items[index].state, memory_order_acquire);
}

/* The first of units [first, last] in a state; last + 1 if there is none. */
static size_t find_state(const struct dirty *dirty, size_t first, size_t last, enum unit_state state)
{
	while (first <= last && state_of(dirty, first) != state)
		first++;
	return first;
}

/*
 * A sync costs the same for one record and for many.  So the units behind are marked too, as many as are dirty already, up to
 * MARK_AHEAD bytes: who writes to much of the disk waits for few syncs, who writes little has little verified.  A unit that
 * stays as it was moves no check.
 */
static void prepare_ahead(struct dirty *dirty, size_t last)
{
	uint64_t limit = unit_end(&dirty->units, last) + MARK_AHEAD;
	size_t most = dirty->recorded;
	for (size_t i = last + 1; i < dirty->units.count && i - last <= most && unit_end(&dirty->units, i) <= limit; i++)
		if (state_of(dirty, i) == UNIT_CLEAN && prepare_unit(dirty, i, NULL) != BLOCKZ_OK)
			return;
}

/* All clean units of [first, last] are marked together; where one cannot be, none is. */
static enum blockz_status prepare_units(struct dirty *dirty, size_t first, size_t last, struct blockz_fault *fault)
{
	size_t before = dirty->pending_count;
	enum blockz_status status = BLOCKZ_OK;
	for (size_t i = first; i <= last && status == BLOCKZ_OK; i++)
		if (state_of(dirty, i) == UNIT_CLEAN)
			status = prepare_unit(dirty, i, fault);
	if (status != BLOCKZ_OK) {
		if (dirty->pending_count > before)
			set_states(dirty, dirty->pending + before, dirty->pending_count - before, UNIT_CLEAN);
		dirty->pending_count = before;
		return status;
	}
	prepare_ahead(dirty, last);
	return BLOCKZ_OK;
}

static enum blockz_status mark_units(struct dirty *dirty, size_t first, size_t last, struct blockz_fault *fault)
{
	enum blockz_status status = BLOCKZ_OK;
	pthread_mutex_lock(&dirty->marking);
	while (status == BLOCKZ_OK) {
		if (dirty->failed)
			status = refuse_failed(dirty, fault);
		else if (find_state(dirty, first, last, UNIT_CLEAN) <= last)
			status = prepare_units(dirty, first, last, fault);
		else if (find_state(dirty, first, last, UNIT_MARKING) > last)
			break;
		else if (dirty->writing_records)
			pthread_cond_wait(&dirty->marked, &dirty->marking);
		else
			status = write_pending(dirty, fault);
	}
	pthread_mutex_unlock(&dirty->marking);
	return status;
}

/* ---- Writing ---- */

/* bytes NULL: zeros. */
static enum blockz_status write_extents(struct dirty *dirty, const uint8_t *bytes, uint64_t off, uint64_t end,
					struct blockz_fault *fault)
{
	static const uint8_t zeros[128 * 1024];
	while (off < end) {
		struct blockz_extent extent = span_extent(&dirty->map->spans[map_find_span(dirty->map, off)], off);
		uint64_t most = bytes != NULL ? end - off : min(end - off, sizeof(zeros));
		size_t len = (size_t)min(extent.length, most);
		const uint8_t *from = bytes != NULL ? bytes : zeros;
		int error = dirty->store->ops->write(dirty->store->ctx, from, len, extent.file_off);
		if (error != 0) {
			struct blockz_fault why;
			fault_errno(&why, error, extent.file_off, "write");
			why.state = state_now(dirty);
			report(fault, &why);
			return fail(dirty, &why);
		}
		bytes = bytes != NULL ? bytes + len : NULL;
		off += len;
	}
	return BLOCKZ_OK;
}

enum blockz_status dirty_write(struct dirty *dirty, const void *buf, size_t len, uint64_t off,
			       struct blockz_fault *fault)
{
	size_t first, last;
	if (len == 0)
		return BLOCKZ_OK;
	enum blockz_status status = units_find(&dirty->units, off, off + len, &first, &last, fault);
	if (status != BLOCKZ_OK)
		return status;
	gate_enter(&dirty->gate);
	if (dirty->failed)
		status = refuse_failed(dirty, fault);
	else if (find_state(dirty, first, last, UNIT_CLEAN) <= last ||
		 find_state(dirty, first, last, UNIT_MARKING) <= last)
		status = mark_units(dirty, first, last, fault);
	if (status == BLOCKZ_OK) {
		dirty->writes++;
		for (size_t i = first; i <= last; i++)
			atomic_store_explicit(&dirty->units.items[i].written, true, memory_order_relaxed);
		status = write_extents(dirty, buf, off, off + len, fault);
	}
	gate_leave(&dirty->gate);
	return status;
}

/* ---- Committing ---- */

/* Those that were written to, and have a check. */
static size_t *written_units(const struct dirty *dirty, size_t *count_ret)
{
	size_t *indexes = calloc(dirty->recorded + 1, sizeof(*indexes)), count = 0;
	for (size_t i = 0; i < dirty->units.count && indexes != NULL; i++)
		if (dirty->units.items[i].written && unit_intent(&dirty->units, i).method != CHECK_NONE)
			indexes[count++] = i;
	*count_ret = count;
	return indexes;
}

/* All that have a record: the journal is gone. */
static void clean_all(struct dirty *dirty)
{
	for (size_t i = 0; i < dirty->units.count; i++) {
		struct unit_item *item = &dirty->units.items[i];
		item->written = false;
		if (item->state == UNIT_DIRTY && unit_intent(&dirty->units, i).method != CHECK_NONE)
			item->state = UNIT_CLEAN;
	}
}

/* Makes the checks right that the journal speaks of, and then drops it. */
static enum blockz_status settle(struct dirty *dirty, const struct intent_unit *units, size_t count,
				 struct blockz_fault *fault)
{
	enum blockz_status status = intent_compute(&dirty->intent, dirty->store, units, count, false, fault);
	if (status == BLOCKZ_OK)
		status = intent_write(&dirty->intent, dirty->store, false, fault);
	if (status != BLOCKZ_OK)
		return fault_state(fault, status, BLOCKZ_IMAGE_NEEDS_RECOVERY);
	status = sync_data(dirty, fault);
	return status == BLOCKZ_OK ? journal_drop(dirty->store, BLOCKZ_IMAGE_UPDATED, fault) : status;
}

static enum blockz_status commit_units(struct dirty *dirty, struct blockz_fault *fault)
{
	size_t count = 0, *indexes = written_units(dirty, &count);
	struct intent_unit *units = indexes == NULL ? NULL : gather_units(&dirty->units, indexes, count);
	enum blockz_status status;
	struct blockz_fault why = { .status = BLOCKZ_OK };
	if (units == NULL)
		status = fault_state(&why, fault_nomem(&why), BLOCKZ_IMAGE_NEEDS_RECOVERY);
	else
		status = settle(dirty, units, count, &why);
	dirty->journal_is_there = status != BLOCKZ_OK && why.state == BLOCKZ_IMAGE_NEEDS_RECOVERY;
	if (status == BLOCKZ_OK) {
		intent_committed(&dirty->intent);
		clean_all(dirty);
		dirty->recorded = 0;
		dirty->journalled = false;
	} else {
		fail(dirty, &why);
		report(fault, &why);
	}
	free(indexes);
	free(units);
	return status;
}

enum blockz_status dirty_flush(struct dirty *dirty, bool committing, struct blockz_fault *fault)
{
	if (!committing || dirty->recorded == 0)
		return sync_data(dirty, fault);
	gate_close(&dirty->gate);
	enum blockz_status status = sync_data(dirty, fault);
	if (status == BLOCKZ_OK && dirty->recorded > 0)
		status = commit_units(dirty, fault);
	gate_open(&dirty->gate);
	return status;
}

bool dirty_is_good(const struct dirty *dirty)
{
	return !dirty->failed;
}

uint64_t dirty_writes(const struct dirty *dirty)
{
	return dirty->writes;
}

/* ---- The whole ---- */

enum blockz_status dirty_new(const struct blockz_store *store, const struct blockz_source *file,
			     const struct blockz_map *map, struct dirty **dirty_ret, struct blockz_fault *fault)
{
	enum blockz_status status = may_patch_map(map, fault);
	if (status == BLOCKZ_OK)
		status = journal_refuse(store, fault);
	if (status != BLOCKZ_OK)
		return status;
	struct dirty *dirty = calloc(1, sizeof(*dirty));
	if (dirty == NULL)
		return fault_nomem(fault);
	dirty->store = store;
	dirty->map = map;
	gate_init(&dirty->gate);
	pthread_mutex_init(&dirty->marking, NULL);
	pthread_cond_init(&dirty->marked, NULL);
	pthread_mutex_init(&dirty->sync_lock, NULL);
	status = units_init(&dirty->units, map, fault);
	if (status == BLOCKZ_OK)
		status = old_checks_init(&dirty->old, file, map, fault);
	if (status == BLOCKZ_OK)
		*dirty_ret = dirty;
	else
		dirty_free(dirty);
	return status;
}

void dirty_free(struct dirty *dirty)
{
	if (dirty == NULL)
		return;
	intent_free(&dirty->intent);
	old_checks_free(&dirty->old);
	units_free(&dirty->units);
	free(dirty->pending);
	gate_destroy(&dirty->gate);
	pthread_mutex_destroy(&dirty->marking);
	pthread_cond_destroy(&dirty->marked);
	pthread_mutex_destroy(&dirty->sync_lock);
	free(dirty);
}
