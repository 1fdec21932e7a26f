/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Each allocation of a disk with an overlay fails in turn, alone and with all that follow: it is opened, written to, flushed, which
 * brings the overlay into the file, and closed.  A flush that cannot commit leaves that to later, and has not failed.
 */
#include <libdeflate.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "commits.h"
#include "images.h"
#include "edit/overlay_identity.h"
#include "overlays.h"
#include "short_memory.h"

enum { LEN = 3 * 64 * KIB + 1000, ROOM = 2 * MIB, FORMATS = 3 };

static const struct blockz_range raw[] = { { 150000, 180000 } };
static const struct blockz_range edits[] = { { 50, 60 }, { 70000, 80000 }, { 159800, 159810 } };

static const struct blockz_format *format;
static struct bytes image, edited, file;
static struct beside beside;
static struct growing_store room;
static struct blockz_store scratch;

static void fresh(void)
{
	beside_close(&beside);
	memory_store_reset(&beside.file, file.data, file.len);
	memory_store_reset(&beside.place, file.data, 1);
}

static enum blockz_status use_disk(struct blockz_disk *disk, struct blockz_fault *fault)
{
	enum blockz_status status = BLOCKZ_OK;
	for (size_t i = 0; i < 3 && status == BLOCKZ_OK; i++)
		status = blockz_disk_write(disk, edited.data + edits[i].start, (size_t)(edits[i].end - edits[i].start), edits[i].start,
					   fault);
	return status == BLOCKZ_OK ? blockz_disk_flush(disk, fault) : status;
}

static enum blockz_status run(struct blockz_fault *fault)
{
	struct blockz_disk *disk = NULL;
	enum blockz_status status = beside_open(&beside, BLOCKZ_OVERLAY_WRITE);
	if (status != BLOCKZ_OK) {
		*fault = beside.fault;
		return status;
	}
	const struct blockz_disk_options options = {
		.cache = MIB, .commit = BLOCKZ_COMMIT_FLUSH, .overlay = beside.overlay, .scratch = &scratch,
	};
	status = blockz_disk_open(&beside.file_table, &options, &disk, fault);
	if (status == BLOCKZ_OK)
		status = use_disk(disk, fault);
	enum blockz_status closing = blockz_disk_close(disk, status == BLOCKZ_OK ? fault : NULL);
	beside_close(&beside);
	return status == BLOCKZ_OK ? closing : status;
}

/* Brings in what is left, and returns the image. */
static struct bytes settle(void)
{
	struct blockz_fault fault;
	struct bytes found = { 0 };
	memory_store_reopen(&beside.file);
	memory_store_reopen(&beside.place);
	enum blockz_overlay_state state = beside_look(&beside).state;
	if (state == BLOCKZ_OVERLAY_OF_FILE)
		ck_assert_int_eq(commit_in_place(beside.overlay, &beside.file_table, &fault), BLOCKZ_OK);
	ck_assert(state == BLOCKZ_OVERLAY_OF_FILE || state == BLOCKZ_OVERLAY_NONE || state == BLOCKZ_OVERLAY_COMMITTED);
	ck_assert_int_eq(blockz_overlay_drop(beside.overlay, &fault), BLOCKZ_OK);
	ck_assert(!memory_store_has_journal(&beside.file) && !memory_store_has_journal(&beside.place));
	ck_assert(extracts((struct bytes){ beside.file.file.seen, beside.file.file.size }, false, &found));
	return found;
}

static bool all_is_written(void)
{
	struct bytes found = settle();
	return found.len == LEN && memcmp(found.data, edited.data, LEN) == 0;
}

/* Each byte is as it was, or as it was to become. */
static bool some_is_written(void)
{
	struct bytes found = settle();
	for (size_t i = 0; i < LEN; i++)
		if (found.data[i] != image.data[i] && found.data[i] != edited.data[i])
			return false;
	return found.len == LEN;
}

static const struct operation operation = {
	.name = "write anywhere", .prepare = fresh, .run = run, .is_right = all_is_written, .is_clean = some_is_written,
	.may_succeed = true,
};

/* What takes threads would take memory at any time. */
static void use_one_cpu(void)
{
	cpu_set_t set;
	CPU_ZERO(&set);
	CPU_SET(sched_getcpu(), &set);
	ck_assert_int_eq(sched_setaffinity(0, sizeof(set), &set), 0);
}

static void set_up(void)
{
	const struct blockz_pack_options options = { .piece_size = 64 * KIB, .level = 1, .raw = raw, .raw_count = 1 };
	libdeflate_set_memory_allocator(malloc, free);
	use_one_cpu();
	image = image_new(IMAGE_LINES, LEN);
	edited = bytes_copy(image);
	for (size_t i = 0; i < 3; i++)
		memcpy(edited.data + edits[i].start, image.data + edits[i].start + 20, (size_t)(edits[i].end - edits[i].start));
	file = pack_image(format, image, options, NULL);
	room = (struct growing_store){ .bytes = bytes_new(ROOM).data, .len = ROOM };
	scratch = growing_store(&room);
	beside_init(&beside, file);
	beside.digest = overlay_identity_pieces;
	/* Stores that have been used once have all the memory they need. */
	struct blockz_fault fault;
	ck_assert_int_eq(run(&fault), BLOCKZ_OK);
	ck_assert(all_is_written());
}

START_TEST(each_allocation_fails)
{
	format = format_of(_i / 2);
	set_up();
	fail_allocations(&operation, format->name, _i % 2 != 0);
	beside_free(&beside);
}
END_TEST

int main(void)
{
	TCase *c = case_new("nomem_overlay");
	tcase_add_unchecked_fixture(c, remember_ways, NULL);
	tcase_add_loop_test(c, each_allocation_fails, 0, 2 * FORMATS);
	return case_run("nomem_overlay", c);
}
