/* SPDX-License-Identifier: BSD-3-Clause */
/* Overlays in a real directory: their names, modes, locks, and who may have put them there. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "journal/overlay.h"
#include "memory.h"
#include "scratch.h"

#define OVERLAY "." SCRATCH_NAME ".blockz-overlay"

enum { PAGE = BLOCKZ_OVERLAY_PAGE, IMAGE_LEN = 3000 * PAGE + 5 };

static struct scratch scratch;
static struct blockz_overlay *overlay;

static void setup(void)
{
	scratch_init(&scratch);
	ck_assert_int_eq(scratch_open(&scratch, BLOCKZ_STORE_WRITE), BLOCKZ_OK);
}

static void teardown(void)
{
	blockz_store_close(&scratch.store);
	scratch_free(&scratch);
}

static enum blockz_status open_overlay(enum blockz_overlay_mode mode)
{
	return blockz_overlay_open(scratch.dir, SCRATCH_NAME, &scratch.store, mode, &overlay, &scratch.fault);
}

static void assert_state(enum blockz_overlay_mode mode, enum blockz_overlay_state expected)
{
	ck_assert_int_eq(open_overlay(mode), BLOCKZ_OK);
	ck_assert_int_eq(blockz_overlay_info(overlay).state, expected);
	blockz_overlay_close(overlay);
}

/* Leaves one that holds page 1000. */
static void leave_overlay(void)
{
	static const uint8_t page[PAGE] = { 'p' };
	ck_assert_int_eq(open_overlay(BLOCKZ_OVERLAY_WRITE), BLOCKZ_OK);
	ck_assert_int_eq(overlay_begin(overlay, IMAGE_LEN, NULL), BLOCKZ_OK);
	ck_assert_int_eq(overlay_add(overlay, page, PAGE, 1000 * PAGE, NULL), BLOCKZ_OK);
	ck_assert_int_eq(overlay_flush(overlay, NULL), BLOCKZ_OK);
	blockz_overlay_close(overlay);
}

START_TEST(it_lies_beside_the_file)
{
	struct stat st;
	leave_overlay();
	ck_assert_int_eq(fstatat(scratch.dir, OVERLAY, &st, AT_SYMLINK_NOFOLLOW), 0);
	ck_assert(S_ISREG(st.st_mode) && (st.st_mode & 07777) == 0600);
	ck_assert_int_gt(st.st_size, IMAGE_LEN);
	ck_assert_int_lt(st.st_blocks * 512, 20 * PAGE);
	ck_assert(!scratch_exists(&scratch, OVERLAY ".tmp"));
	ck_assert(!scratch_exists(&scratch, SCRATCH_JOURNAL));
	ck_assert_int_eq(open_overlay(BLOCKZ_OVERLAY_READ), BLOCKZ_OK);
	uint8_t page[PAGE];
	ck_assert_int_eq(overlay_read(overlay, page, PAGE, 1000 * PAGE, NULL), BLOCKZ_OK);
	ck_assert_uint_eq(page[0], 'p');
	ck_assert_uint_eq(blockz_overlay_info(overlay).pages, 1);
	blockz_overlay_close(overlay);
	ck_assert_int_eq(open_overlay(BLOCKZ_OVERLAY_WRITE), BLOCKZ_OK);
	ck_assert_int_eq(blockz_overlay_drop(overlay, NULL), BLOCKZ_OK);
	blockz_overlay_close(overlay);
	ck_assert(!scratch_exists(&scratch, OVERLAY));
	ck_assert_int_eq(scratch_entries(&scratch), 1);
}
END_TEST

START_TEST(a_temporary_one_goes)
{
	scratch_write(&scratch, OVERLAY ".tmp", (const uint8_t *)"left", 4);
	assert_state(BLOCKZ_OVERLAY_READ, BLOCKZ_OVERLAY_NONE);
	ck_assert(scratch_exists(&scratch, OVERLAY ".tmp"));
	assert_state(BLOCKZ_OVERLAY_WRITE, BLOCKZ_OVERLAY_NONE);
	ck_assert(!scratch_exists(&scratch, OVERLAY ".tmp"));
}
END_TEST

START_TEST(it_is_one_programs_alone)
{
	struct blockz_overlay *first;
	leave_overlay();
	ck_assert_int_eq(open_overlay(BLOCKZ_OVERLAY_WRITE), BLOCKZ_OK);
	first = overlay;
	ck_assert_int_eq(open_overlay(BLOCKZ_OVERLAY_WRITE), BLOCKZ_LOCKED);
	ck_assert_int_eq(open_overlay(BLOCKZ_OVERLAY_READ), BLOCKZ_LOCKED);
	blockz_overlay_close(first);
	assert_state(BLOCKZ_OVERLAY_READ, BLOCKZ_OVERLAY_OF_FILE);
}
END_TEST

START_TEST(a_link_is_not_believed)
{
	leave_overlay();
	ck_assert_int_eq(linkat(scratch.dir, OVERLAY, scratch.dir, "second", 0), 0);
	assert_state(BLOCKZ_OVERLAY_WRITE, BLOCKZ_OVERLAY_UNTRUSTED);
	ck_assert_int_eq(unlinkat(scratch.dir, OVERLAY, 0), 0);
	ck_assert_int_eq(symlinkat("second", scratch.dir, OVERLAY), 0);
	assert_state(BLOCKZ_OVERLAY_READ, BLOCKZ_OVERLAY_UNTRUSTED);
	ck_assert_int_eq(unlinkat(scratch.dir, OVERLAY, 0), 0);
	ck_assert_int_eq(renameat(scratch.dir, "second", scratch.dir, OVERLAY), 0);
	assert_state(BLOCKZ_OVERLAY_READ, BLOCKZ_OVERLAY_OF_FILE);
	ck_assert_int_eq(fchmodat(scratch.dir, OVERLAY, 0666, 0), 0);
	assert_state(BLOCKZ_OVERLAY_READ, BLOCKZ_OVERLAY_UNTRUSTED);
}
END_TEST

START_TEST(a_fifo_keeps_nobody_waiting)
{
	ck_assert_int_eq(mkfifoat(scratch.dir, OVERLAY, 0600), 0);
	assert_state(BLOCKZ_OVERLAY_WRITE, BLOCKZ_OVERLAY_UNTRUSTED);
	ck_assert_int_eq(open_overlay(BLOCKZ_OVERLAY_WRITE), BLOCKZ_OK);
	ck_assert_int_eq(blockz_overlay_drop(overlay, NULL), BLOCKZ_OK);
	blockz_overlay_close(overlay);
	ck_assert(!scratch_exists(&scratch, OVERLAY));
}
END_TEST

START_TEST(a_long_name_has_no_room_for_one)
{
	char name[NAME_MAX - 10];
	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	scratch_write(&scratch, name, (const uint8_t *)"x", 1);
	ck_assert_int_eq(blockz_overlay_open(scratch.dir, name, &scratch.store, BLOCKZ_OVERLAY_WRITE, &overlay, NULL),
			 BLOCKZ_UNSUPPORTED);
	ck_assert_int_eq(blockz_overlay_open(scratch.dir, name, &scratch.store, BLOCKZ_OVERLAY_READ, &overlay, NULL), BLOCKZ_OK);
	ck_assert_int_eq(blockz_overlay_info(overlay).state, BLOCKZ_OVERLAY_NONE);
	blockz_overlay_close(overlay);
}
END_TEST

START_TEST(another_file_under_the_name_is_noticed)
{
	leave_overlay();
	blockz_store_close(&scratch.store);
	scratch_write(&scratch, SCRATCH_NAME, (const uint8_t *)"another", 7);
	ck_assert_int_eq(scratch_open(&scratch, BLOCKZ_STORE_WRITE), BLOCKZ_OK);
	assert_state(BLOCKZ_OVERLAY_WRITE, BLOCKZ_OVERLAY_OF_OTHER_FILE);
	ck_assert(scratch_exists(&scratch, OVERLAY));
}
END_TEST

int main(void)
{
	TCase *c = case_new("overlay_file");
	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, it_lies_beside_the_file);
	tcase_add_test(c, a_temporary_one_goes);
	tcase_add_test(c, it_is_one_programs_alone);
	tcase_add_test(c, a_link_is_not_believed);
	tcase_add_test(c, a_fifo_keeps_nobody_waiting);
	tcase_add_test(c, a_long_name_has_no_room_for_one);
	tcase_add_test(c, another_file_under_the_name_is_noticed);
	return case_run("overlay_file", c);
}
