/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A disk whose flushes bring its overlay into the file: the power goes at each operation, or each operation fails, once or from
 * then on.  What a flush has called durable is there after recovery; what is read is what was written, or an error.
 */
#include <errno.h>
#include <sched.h>
#include <string.h>

#include "commits.h"
#include "images.h"
#include "edit/overlay_identity.h"
#include "overlays.h"

enum { IMAGE_LEN = 20 * PAGE - 300, SECTORS = (IMAGE_LEN + STORE_SECTOR - 1) / STORE_SECTOR };

static const struct blockz_range raw[] = { { 2 * PAGE, 4 * PAGE } };

static const struct blockz_format *format;
static struct bytes image, file;
static struct beside beside;
static struct memory_power power;
static struct growing_store memory;
static struct blockz_store scratch;
static struct blockz_disk *disk;
/* The model: each sector is as it was flushed, or as it was written since, or, where a write has failed, anything. */
static uint8_t flushed[IMAGE_LEN], latest[IMAGE_LEN];
static bool unknown[SECTORS];

/* The stores are for one thread. */
static void use_one_cpu(void)
{
	cpu_set_t set;
	CPU_ZERO(&set);
	CPU_SET(sched_getcpu(), &set);
	ck_assert_int_eq(sched_setaffinity(0, sizeof(set), &set), 0);
}

static void make_file(int index)
{
	use_one_cpu();
	format = format_of(index);
	const struct blockz_pack_options options = {
		.level = 1, .piece_size = format->piece_size_min > 4 * PAGE ? format->piece_size_min : 4 * PAGE,
		.raw = raw, .raw_count = 1,
	};
	image = image_new(IMAGE_LINES, IMAGE_LEN);
	file = pack_image(format, image, options, NULL);
	beside_init(&beside, file);
	beside.digest = overlay_identity_pieces;
}

/* ---- The disk ---- */

static bool open_disk(void)
{
	memory = (struct growing_store){ 0 };
	scratch = growing_store(&memory);
	if (beside_open(&beside, BLOCKZ_OVERLAY_WRITE) != BLOCKZ_OK)
		return false;
	const struct blockz_disk_options options = {
		.cache = MIB, .commit = BLOCKZ_COMMIT_FLUSH, .overlay = beside.overlay, .scratch = &scratch,
	};
	return blockz_disk_open(&beside.file_table, &options, &disk, &beside.fault) == BLOCKZ_OK;
}

static void close_disk(void)
{
	if (blockz_disk_close(disk, &beside.fault) == BLOCKZ_OK && disk != NULL)
		memcpy(flushed, latest, IMAGE_LEN);
	disk = NULL;
	beside_close(&beside);
	growing_store_free(&memory);
}

static void write_range(uint64_t start, uint64_t end, uint8_t byte)
{
	uint8_t bytes[2 * PAGE];
	memset(bytes, byte, sizeof(bytes));
	enum blockz_status status = blockz_disk_write(disk, bytes, (size_t)(end - start), start, &beside.fault);
	if (status == BLOCKZ_OK)
		memcpy(latest + start, bytes, (size_t)(end - start));
	for (uint64_t sector = start / STORE_SECTOR; sector * STORE_SECTOR < end && status != BLOCKZ_OK; sector++)
		unknown[sector] = true;
}

static void flush(void)
{
	if (blockz_disk_flush(disk, &beside.fault) == BLOCKZ_OK)
		memcpy(flushed, latest, IMAGE_LEN);
}

static size_t sector_len(uint64_t sector)
{
	return sector == SECTORS - 1 ? IMAGE_LEN - (SECTORS - 1) * STORE_SECTOR : STORE_SECTOR;
}

/* What is read is right, or refused. */
static void read_all(void)
{
	static uint8_t found[IMAGE_LEN];
	if (blockz_disk_read(disk, found, IMAGE_LEN, 0, &beside.fault) != BLOCKZ_OK)
		return;
	for (uint64_t sector = 0; sector < SECTORS; sector++)
		ck_assert(unknown[sector] ||
			  memcmp(found + sector * STORE_SECTOR, latest + sector * STORE_SECTOR, sector_len(sector)) == 0);
}

/* Sectors are written once from flush to flush. */
static void live(void)
{
	if (open_disk()) {
		write_range(5 * PAGE, 6 * PAGE, 'a');
		write_range(2 * PAGE + 512, 2 * PAGE + 1024, 'b');
		read_all();
		flush();
		read_all();
		write_range(5 * PAGE + 512, 5 * PAGE + 1024, 'c');
		write_range(11 * PAGE, 13 * PAGE, 'd');
		flush();
		read_all();
		write_range(5 * PAGE + 1024, 5 * PAGE + 2048, 'e');
		read_all();
	}
	close_disk();
}

/* ---- After it ---- */

static void recover(void)
{
	enum blockz_recovery recovery;
	struct blockz_fault *fault = &beside.fault;
	beside.file_table = memory_store(&beside.file);
	enum blockz_status status = blockz_recover(&beside.file_table, BLOCKZ_REMEDY_RECOVER, &recovery, fault);
	ck_assert_msg(status == BLOCKZ_OK, "recovery: %s", fault->text);
	enum blockz_overlay_state state = beside_look(&beside).state;
	ck_assert(state == BLOCKZ_OVERLAY_NONE || state == BLOCKZ_OVERLAY_OF_FILE || state == BLOCKZ_OVERLAY_COMMITTED);
	status = state == BLOCKZ_OVERLAY_OF_FILE ? commit_in_place(beside.overlay, &beside.file_table, fault)
						 : blockz_overlay_drop(beside.overlay, fault);
	ck_assert_msg(status == BLOCKZ_OK, "commit: %s", fault->text);
	beside_close(&beside);
	ck_assert(!memory_store_has_journal(&beside.file) && !memory_store_has_journal(&beside.place));
}

static void judge_file(const char *what, size_t n)
{
	struct bytes made = { beside.file.file.seen, beside.file.file.size }, found;
	ck_assert_msg(extracts(made, false, &found) && found.len == IMAGE_LEN, "%s %zu: damaged", what, n);
	for (uint64_t sector = 0; sector < SECTORS; sector++) {
		const uint8_t *bytes = found.data + sector * STORE_SECTOR;
		uint64_t off = sector * STORE_SECTOR;
		bool right = unknown[sector] || memcmp(bytes, flushed + off, sector_len(sector)) == 0 ||
			     memcmp(bytes, latest + off, sector_len(sector)) == 0;
		ck_assert_msg(right, "%s %zu: sector %d", what, n, (int)sector);
	}
}

static void reset(void)
{
	memory_store_reset(&beside.file, file.data, file.len);
	memory_store_reset(&beside.place, file.data, 1);
	memcpy(flushed, image.data, IMAGE_LEN);
	memcpy(latest, image.data, IMAGE_LEN);
	memset(unknown, 0, sizeof(unknown));
	power = (struct memory_power){ 0 };
	beside.file.power = beside.place.power = &power;
}

static void bring_power_back(enum store_cut cut)
{
	memory_store_cut(&beside.file, cut);
	memory_store_cut(&beside.place, cut);
	power = (struct memory_power){ 0 };
	memory_store_reopen(&beside.file);
	memory_store_reopen(&beside.place);
}

START_TEST(the_power_goes_at_each_operation)
{
	static const enum store_cut cuts[] = { STORE_CUT_LOSE, STORE_CUT_KEEP, STORE_CUT_PREFIX, STORE_CUT_RANDOM };
	make_file(_i);
	size_t n = 1;
	for (bool crashed = true; crashed; n += few_rounds ? 5 : 1) {
		for (size_t i = 0; i < 4 && crashed; i++) {
			const struct kept *mark = kept_so_far();
			reset();
			power.cut_at = n;
			live();
			crashed = power.dead;
			bring_power_back(cuts[i]);
			recover();
			judge_file("power cut", n);
			forget_since(mark);
		}
	}
	ck_assert_uint_gt(n, 50);
	beside_free(&beside);
}
END_TEST

static bool fail_at(struct memory_store *store, size_t n, bool from_then_on, int error)
{
	reset();
	store->fail_at = n;
	store->fail_from_then_on = from_then_on;
	store->error = error;
	live();
	bool failed = store->step_count >= n;
	bring_power_back(STORE_CUT_LOSE);
	return failed;
}

START_TEST(each_operation_fails)
{
	make_file(_i);
	for (int i = 0; i < 8; i++) {
		struct memory_store *store = i % 2 == 0 ? &beside.file : &beside.place;
		size_t n = 1;
		for (bool failed = true; failed; n += few_rounds || store == &beside.file ? 7 : 1) {
			const struct kept *mark = kept_so_far();
			failed = fail_at(store, n, i / 2 % 2 == 1, i / 4 == 1 ? ENOSPC : EIO);
			recover();
			judge_file(store == &beside.file ? "file" : "overlay", n);
			forget_since(mark);
		}
		ck_assert_uint_gt(n, 20);
	}
	beside_free(&beside);
}
END_TEST

int main(void)
{
	TCase *c = case_new("disk_overlay_crash");
	case_add_formats(c, the_power_goes_at_each_operation);
	case_add_formats(c, each_operation_fails);
	return case_run("disk_overlay_crash", c);
}
