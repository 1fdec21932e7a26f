/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A disk whose power goes, or whose store fails, at each operation.  What recovery makes of the file decodes by others'
 * strict decoders, holds every write that was flushed, and of the others what some moment since then left in each
 * sector.
 */
#include <stdlib.h>
#include <string.h>

#include "blockz_disk.h"
#include "images.h"
#include "random.h"
#include "range/map.h"
#include "stores.h"

enum { LEN = 340 * KIB + 123, PIECE = 64 * KIB, STATES_MAX = 16 };

static const struct blockz_range raw[] = { { 600, 9000 }, { 100 * KIB + 11, 270 * KIB }, { LEN - 9000, LEN } };

struct variant {
	const char *format, *check;
	enum blockz_commit commit;
};

static const struct variant variants[] = {
	{ "gzip", NULL, BLOCKZ_COMMIT_CLOSE },  { "gzip", NULL, BLOCKZ_COMMIT_FLUSH },
	{ "xz", "crc32", BLOCKZ_COMMIT_CLOSE }, { "xz", "crc64", BLOCKZ_COMMIT_FLUSH },
	{ "xz", "sha256", BLOCKZ_COMMIT_CLOSE }, { "xz", "none", BLOCKZ_COMMIT_CLOSE },
	{ "zstd", NULL, BLOCKZ_COMMIT_CLOSE },  { "zstd", NULL, BLOCKZ_COMMIT_FLUSH },
};
enum { VARIANTS = sizeof(variants) / sizeof(variants[0]), XZ_NONE = 5 };

/* Writes within units and across them, again into the same sectors, and flushes in between. */
static const struct step {
	uint64_t off;
	size_t len; /* 0: a flush */
} steps[] = {
	{ 700, 5 }, { 100 * KIB + 11, 3000 }, { 0, 0 }, { 128 * KIB - 700, 1400 }, { 703, 900 }, { LEN - 1, 1 }, { 0, 0 },
	{ 200 * KIB, 40 * KIB }, { 701, 2 }, { 0, 0 }, { 0, 0 }, { 128 * KIB - 5, 10 }, { LEN - 9000, 600 },
};
enum { STEPS = sizeof(steps) / sizeof(steps[0]) };

static const enum store_cut cuts[] = { STORE_CUT_LOSE, STORE_CUT_KEEP, STORE_CUT_PREFIX, STORE_CUT_RANDOM };
enum { CUTS = sizeof(cuts) / sizeof(cuts[0]) };

static const struct variant *variant;
static struct memory_store store, saved;
static struct bytes file, image, room, before;
static struct blockz_map *map;
/* What the image may be: as at the last flush, and after each write since. */
static struct bytes states[STATES_MAX];
static size_t state_count;

static void setup(void)
{
	image = image_new(IMAGE_DISK, LEN);
	room = bytes_new(LEN + 1);
	for (size_t i = 0; i < STATES_MAX; i++)
		states[i] = bytes_new(LEN);
}

static void choose(int i)
{
	struct blockz_pack_options options = {
		.level = 2, .check = variants[i].check, .piece_size = PIECE, .raw = raw, .raw_count = sizeof(raw) / sizeof(raw[0]),
	};
	size_t format = 0;
	variant = &variants[i];
	while (strcmp(blockz_format_at(format)->name, variant->format) != 0)
		format++;
	file = pack_image(blockz_format_at(format), image, options, NULL);
	before = bytes_new(file.len);
	map = map_of(bytes_source(file), false);
	memory_store_init(&store, file.data, file.len);
	memory_store_init(&saved, file.data, file.len);
}

static void done(void)
{
	blockz_map_free(map);
	memory_store_free(&store);
	memory_store_free(&saved);
}

/* ---- Running ---- */

static void begin_states(void)
{
	memcpy(states[0].data, image.data, LEN);
	state_count = 1;
}

static void add_state(const uint8_t *bytes, size_t len, uint64_t off)
{
	ck_assert_uint_lt(state_count, STATES_MAX);
	memcpy(states[state_count].data, states[state_count - 1].data, LEN);
	memcpy(states[state_count++].data + off, bytes, len);
}

/* What has been flushed is what every state has. */
static void keep_last_state(void)
{
	memcpy(states[0].data, states[state_count - 1].data, LEN);
	state_count = 1;
}

static void take(struct blockz_disk *disk, const struct step *step, uint8_t value)
{
	struct blockz_fault fault = { .status = BLOCKZ_OK };
	static uint8_t bytes[64 * KIB];
	bool good = blockz_disk_is_writable(disk);
	enum blockz_status status;
	if (step->len == 0) {
		status = blockz_disk_flush(disk, &fault);
		if (status == BLOCKZ_OK)
			keep_last_state();
	} else {
		for (size_t i = 0; i < step->len; i++)
			bytes[i] = (uint8_t)(value + i / 7);
		status = blockz_disk_write(disk, bytes, step->len, step->off, &fault);
		/* A write that fails and leaves the disk writable has written nothing. */
		if (status == BLOCKZ_OK || !blockz_disk_is_writable(disk))
			add_state(bytes, step->len, step->off);
	}
	/* A file that ends early is a damaged one.  Once the disk has failed, nothing ever succeeds again. */
	ck_assert(status == BLOCKZ_OK || status == BLOCKZ_FAILED || (good && status == BLOCKZ_DAMAGED));
	ck_assert(good || status == BLOCKZ_FAILED);
	if (status != BLOCKZ_OK)
		ck_assert_int_eq(fault.status, status);
}

/* All steps, and the closing; the state that is left. */
static enum blockz_status run(enum blockz_state *state_ret)
{
	const struct blockz_disk_options options = { .cache = MIB, .commit = variant->commit };
	struct blockz_fault fault = { .state = BLOCKZ_IMAGE_UNCHANGED };
	struct blockz_store table = memory_store(&store);
	struct blockz_disk *disk = NULL;
	begin_states();
	enum blockz_status status = blockz_disk_open(&table, &options, &disk, &fault);
	for (size_t i = 0; i < STEPS && status == BLOCKZ_OK; i++)
		take(disk, &steps[i], (uint8_t)(17 * i + 1));
	if (status == BLOCKZ_OK)
		status = blockz_disk_close(disk, &fault);
	if (status == BLOCKZ_OK)
		keep_last_state();
	*state_ret = fault.state;
	return status;
}

/* True if the power has gone at operation n; false if the run ends before that. */
static bool crash_at(size_t n, unsigned ignored)
{
	enum blockz_state state;
	memory_store_reset(&store, file.data, file.len);
	store.cut_at = n;
	store.ignored = ignored;
	run(&state);
	return store.dead;
}

/* ---- Looking ---- */

static bool is_of_one_state(uint64_t start, uint64_t end)
{
	for (size_t i = 0; i < state_count; i++)
		if (memcmp(room.data + start, states[i].data + start, (size_t)(end - start)) == 0)
			return true;
	return false;
}

/* The end of what is written as a whole from off on: a sector of the file, or a byte where a write may have ended anywhere. */
static uint64_t end_of_unit(uint64_t off, bool torn)
{
	struct blockz_extent extent;
	if (torn || !blockz_map_extent_at(map, off, &extent))
		return off + 1;
	uint64_t left = STORE_SECTOR - extent.file_off % STORE_SECTOR;
	return off + (left < extent.length ? left : extent.length);
}

/* The end of what from start on is as in one state. */
static uint64_t end_of_state(uint64_t start)
{
	uint64_t best = start;
	for (size_t i = 0; i < state_count; i++) {
		const uint8_t *state = states[i].data;
		uint64_t end = start;
		while (LEN - end >= STORE_SECTOR && memcmp(room.data + end, state + end, STORE_SECTOR) == 0)
			end += STORE_SECTOR;
		while (end < LEN && room.data[end] == state[end])
			end++;
		best = end > best ? end : best;
	}
	return best;
}

/* Passes by the units that are as in one state, up to the beginning of one that may not be. */
static uint64_t skip_state(uint64_t start)
{
	struct blockz_extent extent;
	uint64_t end = end_of_state(start), begun = 0;
	if (blockz_map_extent_at(map, end, &extent))
		begun = extent.file_off % STORE_SECTOR;
	return end - start > begun ? end - begun : start;
}

/* Each unit of the file holds what it did at some moment. */
static bool holds_states(bool torn)
{
	for (uint64_t pos = skip_state(0), end; pos < LEN; pos = skip_state(end)) {
		end = end_of_unit(pos, torn);
		if (!is_of_one_state(pos, end))
			return false;
	}
	return true;
}

static bool is_good(bool torn)
{
	size_t len = 0;
	struct bytes found = { store.file.seen, store.file.size };
	return !memory_store_has_journal(&store) && judge(variant->format, found, room, &len) && len == LEN &&
	       holds_states(torn);
}

static enum blockz_status recover(void)
{
	enum blockz_recovery recovery;
	struct blockz_store table = memory_store(&store);
	return blockz_recover(&table, BLOCKZ_REMEDY_RECOVER, &recovery, NULL);
}

/* Recovers, and looks at the file now and after one more power failure. */
static bool recovers(bool torn)
{
	memory_store_reopen(&store);
	bool left = memory_store_has_journal(&store);
	if (recover() != BLOCKZ_OK || !is_good(torn))
		return false;
	memcpy(before.data, store.file.seen, before.len);
	memory_store_cut(&store, STORE_CUT_LOSE);
	if (store.file.size == before.len && memcmp(before.data, store.file.seen, before.len) == 0)
		return !memory_store_has_journal(&store);
	/* Without a check there is no journal, and nothing but a flush makes a write durable. */
	return !left && is_good(torn);
}

START_TEST(the_power_goes_at_each_operation)
{
	choose(_i);
	size_t n = 1;
	for (; crash_at(n, 0); n++) {
		for (size_t i = 0; i < CUTS; i++) {
			ck_assert(i == 0 || crash_at(n, 0)); /* the first has just been */
			memory_store_cut(&store, cuts[i]);
			ck_assert_msg(recovers(false), "operation %zu, cut %zu", n, i);
		}
	}
	ck_assert_uint_gt(n, STEPS);
	done();
}
END_TEST

START_TEST(the_program_is_killed_at_each_operation)
{
	choose(_i);
	for (size_t n = 1; crash_at(n, 0); n++)
		ck_assert_msg(recovers(false), "operation %zu", n);
	done();
}
END_TEST

START_TEST(what_was_closed_stays)
{
	choose(_i);
	for (size_t i = 0; i < CUTS; i++) {
		ck_assert(!crash_at(0, 0));
		ck_assert_uint_eq(state_count, 1);
		memory_store_cut(&store, cuts[i]);
		ck_assert(is_good(false));
	}
	done();
}
END_TEST

/* ---- Crashes of the recovery, too ---- */

static void save(void)
{
	memory_store_reset(&saved, store.file.seen, store.file.size);
	if (memory_store_has_journal(&store))
		memory_store_put_journal(&saved, store.journal.seen, store.journal.size);
}

static bool recovery_crashes_at(size_t n)
{
	memory_store_reset(&store, saved.file.seen, saved.file.size);
	if (memory_store_has_journal(&saved))
		memory_store_put_journal(&store, saved.journal.seen, saved.journal.size);
	store.cut_at = n;
	recover();
	return store.dead;
}

START_TEST(the_power_goes_at_each_operation_of_the_recovery)
{
	choose(_i);
	size_t longest = 0;
	for (size_t n = 1; crash_at(n, 0); n += few_rounds ? 23 : 11) {
		size_t m = 1;
		memory_store_cut(&store, n % 4 == 0 ? STORE_CUT_KEEP : STORE_CUT_RANDOM);
		save();
		for (; recovery_crashes_at(m); m++) {
			memory_store_cut(&store, cuts[m % CUTS]);
			ck_assert_msg(recovers(false), "operation %zu, then %zu of the recovery", n, m);
		}
		longest = m > longest ? m : longest;
	}
	ck_assert(_i == XZ_NONE || longest > 10);
	done();
}
END_TEST

/* ---- Barriers left out ---- */

static size_t violations_without(enum store_op barrier)
{
	size_t violations = 0;
	for (size_t n = 1; crash_at(n, 1U << barrier); n++) {
		for (size_t i = 0; i < CUTS; i++) {
			ck_assert(i == 0 || crash_at(n, 1U << barrier));
			memory_store_cut(&store, cuts[i]);
			violations += !recovers(false);
		}
	}
	return violations;
}

START_TEST(each_barrier_is_needed)
{
	static const enum store_op barriers[] = { STORE_JOURNAL_SYNC, STORE_DIRECTORY_SYNC, STORE_SYNC };
	choose(0);
	ck_assert_uint_gt(violations_without(barriers[_i]), 0);
	done();
}
END_TEST

/* ---- A store that fails ---- */

static size_t run_failing(size_t n, bool from_then_on, int error, enum blockz_status *status_ret,
			  enum blockz_state *state_ret)
{
	memory_store_reset(&store, file.data, file.len);
	store.fail_at = n;
	store.fail_from_then_on = from_then_on;
	store.error = error;
	*status_ret = run(state_ret);
	return store.step_count;
}

/* What the closing says of the file is true. */
static void check_failed(size_t n, enum blockz_status status, enum blockz_state state)
{
	bool left = memory_store_has_journal(&store);
	if (status == BLOCKZ_OK || state != BLOCKZ_IMAGE_NEEDS_RECOVERY)
		ck_assert_msg(!left, "operation %zu: a journal is left, and nobody says so", n);
	memory_store_cut(&store, cuts[n % CUTS]);
	ck_assert_msg(recovers(true), "operation %zu fails", n);
}

START_TEST(each_operation_fails)
{
	static const int errors[] = { 5 /* EIO */, 28 /* ENOSPC */, 0 };
	choose(_i);
	for (int how = 0; how < 6; how++) {
		enum blockz_status status;
		enum blockz_state state;
		size_t failed = 0, last = 0;
		for (size_t n = 1; run_failing(n, how % 2 == 1, errors[how / 2], &status, &state) >= n; n++) {
			failed += status != BLOCKZ_OK;
			last = n;
			check_failed(n, status, state);
		}
		ck_assert_uint_gt(last, STEPS);
		ck_assert_uint_gt(failed, 0);
	}
	done();
}
END_TEST

/* Where only the journal cannot be made, the disk goes on. */
START_TEST(no_room_for_a_journal_is_no_end)
{
	choose(0);
	for (enum store_op op = STORE_JOURNAL_CREATE; op <= STORE_JOURNAL_WRITE; op++) {
		enum blockz_status status;
		enum blockz_state state;
		size_t n = 0;
		run_failing(0, false, 0, &status, &state);
		while (store.steps[n].op != op)
			n++;
		run_failing(n + 1, false, 28 /* ENOSPC */, &status, &state);
		ck_assert_int_eq(status, BLOCKZ_OK);
		check_failed(n + 1, status, state);
	}
	done();
}
END_TEST

/* A copy of the crashed file and its journal, which has another inode. */
START_TEST(a_copy_of_a_crashed_file_is_recovered_or_refused)
{
	size_t recovered = 0;
	choose(_i);
	for (size_t n = 1; crash_at(n, 0); n++) {
		memory_store_cut(&store, cuts[n % CUTS]);
		memory_store_reopen(&store);
		bool left = memory_store_has_journal(&store);
		store.identity.inode++;
		if (recover() == BLOCKZ_OK) {
			recovered += left;
			ck_assert(is_good(false));
			continue;
		}
		ck_assert_uint_eq(memory_store_count(&store, STORE_WRITE), 0);
		store.identity.inode--;
		ck_assert_msg(recovers(false), "operation %zu", n);
	}
	ck_assert(_i == XZ_NONE || recovered > 0);
	done();
}
END_TEST

int main(void)
{
	TCase *c = case_new("disk_crash");
	tcase_add_checked_fixture(c, setup, NULL);
	tcase_add_loop_test(c, the_power_goes_at_each_operation, 0, VARIANTS);
	tcase_add_loop_test(c, the_program_is_killed_at_each_operation, 0, VARIANTS);
	tcase_add_loop_test(c, what_was_closed_stays, 0, VARIANTS);
	tcase_add_loop_test(c, the_power_goes_at_each_operation_of_the_recovery, 0, VARIANTS);
	tcase_add_loop_test(c, each_barrier_is_needed, 0, 3);
	tcase_add_loop_test(c, each_operation_fails, 0, VARIANTS);
	tcase_add_test(c, no_room_for_a_journal_is_no_end);
	tcase_add_loop_test(c, a_copy_of_a_crashed_file_is_recovered_or_refused, 0, VARIANTS);
	return case_run("disk_crash", c);
}
