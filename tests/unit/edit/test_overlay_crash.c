/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Crashes at every operation of a disk's life with an overlay, and of its recovery: pages are written and flushed, brought into
 * the file in place or by a new one, and others written after that.  The power goes, and of what was written since the last
 * sync some is lost, a sector at a time; recovery follows, and perhaps another crash in it.
 *
 * What has to hold then: each sector of the image has what the last flush that returned made durable, or something that was
 * written since; nothing is left beside the file; and of another file that was put there nothing is changed.
 */
#include <string.h>

#include "commits.h"
#include "images.h"
#include "edit/overlay_identity.h"
#include "overlays.h"

enum { PAGES = 12, IMAGE_LEN = PAGES * PAGE - 700, SECTORS = IMAGE_LEN / STORE_SECTOR + 1, WRITES_MAX = 16 };

static const struct blockz_range raw[] = { { 2 * PAGE, 3 * PAGE } };

static struct {
	const struct blockz_format *format;
	enum blockz_way way;
	struct bytes image, file, other;
	struct beside beside;
	struct memory_power power;
	unsigned ignored_file, ignored_place;
	bool no_sync_of_rename, no_announcement;
	uint8_t in_file[PAGES * PAGE]; /* of the image, by what was brought in so far */
	/* The model: what each sector held at the last flush, and what was written to it since. */
	uint8_t flushed[PAGES * PAGE];
	uint8_t since[SECTORS][WRITES_MAX];
	size_t since_count[SECTORS];
} model;

static void make_file(int format)
{
	model.format = format_of(format);
	const struct blockz_pack_options options = {
		.level = 1, .piece_size = model.format->piece_size_min > 4 * PAGE ? model.format->piece_size_min : 4 * PAGE,
		.raw = raw, .raw_count = 1,
	};
	model.image = image_new(IMAGE_LINES, IMAGE_LEN);
	model.file = pack_image(model.format, model.image, options, NULL);
	model.other = pack_image(model.format, image_new(IMAGE_NOISE, IMAGE_LEN), options, NULL);
	beside_init(&model.beside, model.file);
	model.beside.digest = overlay_identity_pieces;
}

/* ---- What a disk does: false once the power has gone ---- */

static void start(void)
{
	model.beside.file.power = model.beside.place.power = &model.power;
	model.beside.file.ignored = model.ignored_file;
	model.beside.place.ignored = model.ignored_place;
}

static void note_write(uint64_t sector, uint8_t byte)
{
	size_t *count = &model.since_count[sector];
	ck_assert_uint_lt(*count, WRITES_MAX);
	model.since[sector][(*count)++] = byte;
}

/* Some sectors of a page; one that is not held is completed as a disk does it. */
static bool write_sectors(uint64_t page, uint64_t first, uint64_t count, uint8_t byte)
{
	struct blockz_overlay *overlay = model.beside.overlay;
	uint8_t bytes[PAGE];
	for (uint64_t i = first; i < first + count; i++)
		note_write(page * (PAGE / STORE_SECTOR) + i, byte);
	memset(bytes, byte, sizeof(bytes));
	if (overlay_holds(overlay, page))
		return overlay_write(overlay, bytes, (size_t)count * STORE_SECTOR, page * PAGE + first * STORE_SECTOR, NULL) == BLOCKZ_OK;
	memcpy(bytes, model.in_file + page * PAGE, PAGE);
	memset(bytes + first * STORE_SECTOR, byte, (size_t)count * STORE_SECTOR);
	return overlay_add(overlay, bytes, sizeof(bytes), page * PAGE, NULL) == BLOCKZ_OK;
}

static bool flush(void)
{
	if (overlay_flush(model.beside.overlay, NULL) != BLOCKZ_OK)
		return false;
	for (uint64_t sector = 0; sector < SECTORS; sector++) {
		size_t count = model.since_count[sector];
		if (count > 0)
			memset(model.flushed + sector * STORE_SECTOR, model.since[sector][count - 1], STORE_SECTOR);
		model.since_count[sector] = 0;
	}
	return true;
}

/* ---- Bringing in, as a program does it ---- */

static enum blockz_status bring_in(enum blockz_way way)
{
	struct beside *beside = &model.beside;
	const struct blockz_source file = blockz_store_source(&beside->file_table);
	struct overlay_plan plan;
	enum blockz_status status = overlay_plan_make(&plan, beside->overlay, &file, way, &beside->fault);
	struct growing_sink copy = { 0 };
	const struct blockz_sink sink = growing_sink(&copy);
	if (status == BLOCKZ_OK && !model.no_announcement)
		status = blockz_overlay_announce(beside->overlay, plan.plan, &file, &beside->fault);
	if (status == BLOCKZ_OK && way == BLOCKZ_WAY_IN_PLACE)
		status = blockz_plan_apply(plan.plan, &beside->file_table, &beside->fault);
	if (status == BLOCKZ_OK && way == BLOCKZ_WAY_SPLICE) {
		status = blockz_plan_copy(plan.plan, &file, &sink, &beside->fault);
		if (memory_store_rename_over(&beside->file, copy.bytes.data, copy.bytes.len) != 0 ||
		    (!model.no_sync_of_rename && memory_store_sync_directory(&beside->file) != 0))
			status = BLOCKZ_FAILED;
	}
	overlay_plan_free(&plan);
	return status == BLOCKZ_OK ? blockz_overlay_drop(beside->overlay, &beside->fault) : status;
}

/* The file has all that was flushed from now on: that is in the image, too. */
static void begin_again(void)
{
	beside_close(&model.beside);
	beside_begin(&model.beside, IMAGE_LEN);
	start();
}

/* All of it, until the power goes. */
static void live(void)
{
	if (!write_sectors(1, 0, 8, 'a') || !write_sectors(5, 2, 3, 'b') || !flush())
		return;
	if (!write_sectors(1, 1, 2, 'c') || !write_sectors(7, 0, 1, 'd') || !write_sectors(2, 3, 1, 'e') || !flush())
		return;
	if (!write_sectors(5, 0, 8, 'f') || !flush())
		return;
	if (bring_in(model.way) != BLOCKZ_OK)
		return;
	memcpy(model.in_file, model.flushed, sizeof(model.in_file));
	if (beside_open(&model.beside, BLOCKZ_OVERLAY_WRITE) != BLOCKZ_OK ||
	    overlay_begin(model.beside.overlay, IMAGE_LEN, NULL) != BLOCKZ_OK)
		return;
	if (!write_sectors(5, 1, 1, 'g') || !write_sectors(10, 0, 8, 'h') || !flush())
		return;
	write_sectors(10, 4, 2, 'i');
}

/* False: it has ended before operation n. */
static bool crash_at(size_t n)
{
	memory_store_reset(&model.beside.file, model.file.data, model.file.len);
	memory_store_reset(&model.beside.place, model.file.data, 1);
	memset(model.flushed, 0, sizeof(model.flushed));
	memcpy(model.flushed, model.image.data, IMAGE_LEN);
	memcpy(model.in_file, model.flushed, sizeof(model.in_file));
	memset(model.since_count, 0, sizeof(model.since_count));
	model.power = (struct memory_power){ .cut_at = n };
	begin_again();
	live();
	beside_close(&model.beside);
	return model.power.dead;
}

static void cut(enum store_cut cut)
{
	memory_store_cut(&model.beside.file, cut);
	memory_store_cut(&model.beside.place, cut);
	model.power = (struct memory_power){ 0 };
	memory_store_reopen(&model.beside.file);
	memory_store_reopen(&model.beside.place);
}

/* ---- Recovery ---- */

static enum blockz_status recover(void)
{
	struct beside *beside = &model.beside;
	enum blockz_recovery recovery;
	beside->file_table = memory_store(&beside->file);
	enum blockz_status status = blockz_recover(&beside->file_table, BLOCKZ_REMEDY_RECOVER, &recovery, &beside->fault);
	if (status == BLOCKZ_OK)
		status = beside_open(beside, BLOCKZ_OVERLAY_WRITE);
	if (status != BLOCKZ_OK)
		return status;
	switch (blockz_overlay_info(beside->overlay).state) {
	case BLOCKZ_OVERLAY_NONE:
		break;
	case BLOCKZ_OVERLAY_OF_FILE:
		status = bring_in(model.way);
		break;
	case BLOCKZ_OVERLAY_COMMITTED:
		status = blockz_overlay_drop(beside->overlay, &beside->fault);
		break;
	default:
		status = blockz_overlay_refuse(beside->overlay, &beside->fault);
	}
	beside_close(beside);
	return status;
}

static bool sector_is_right(const uint8_t *found, uint64_t sector, size_t len)
{
	if (memcmp(found, model.flushed + sector * STORE_SECTOR, len) == 0)
		return true;
	for (size_t i = 0; i < model.since_count[sector]; i++) {
		uint8_t bytes[STORE_SECTOR];
		memset(bytes, model.since[sector][i], sizeof(bytes));
		if (memcmp(found, bytes, len) == 0)
			return true;
	}
	return false;
}

/* NULL, or what is wrong. */
static const char *find_wrong(void)
{
	struct memory_store *store = &model.beside.file;
	struct bytes file = { store->file.seen, store->file.size }, found;
	if (memory_store_has_journal(store) || memory_store_has_journal(&model.beside.place))
		return "something is left beside the file";
	if (!extracts(file, false, &found) || found.len != IMAGE_LEN)
		return "the file is damaged";
	for (uint64_t sector = 0; sector < SECTORS; sector++) {
		size_t len = sector == SECTORS - 1 ? IMAGE_LEN % STORE_SECTOR : STORE_SECTOR;
		if (!sector_is_right(found.data + sector * STORE_SECTOR, sector, len))
			return "a sector has neither what was flushed nor what was written since";
	}
	return NULL;
}

static const char *recover_and_judge(void)
{
	const struct kept *mark = kept_so_far();
	const char *wrong = recover() == BLOCKZ_OK ? find_wrong() : model.beside.fault.text;
	forget_since(mark);
	return wrong;
}

/* ---- The tests ---- */

static const enum store_cut cuts[] = {
	STORE_CUT_LOSE, STORE_CUT_KEEP, STORE_CUT_PREFIX, STORE_CUT_RANDOM, STORE_CUT_PREFIX, STORE_CUT_RANDOM,
	STORE_CUT_RANDOM,
};
enum { CUTS = sizeof(cuts) / sizeof(cuts[0]) };

/* Encoders of some formats are slow, and what they are asked for is the same. */
static size_t stride(void)
{
	return (strcmp(model.format->name, "gzip") == 0 ? 1 : 3) * (few_rounds ? 3 : 1);
}

static void crash_everywhere(void (*what)(size_t n, size_t cut_index))
{
	size_t n = 1;
	for (;; n += stride()) {
		for (size_t i = 0; i < CUTS; i++) {
			const struct kept *mark = kept_so_far();
			bool crashed = crash_at(n);
			forget_since(mark);
			if (!crashed) {
				ck_assert_uint_gt(n, 30);
				return;
			}
			cut(cuts[i]);
			what(n, i);
		}
	}
}

static void must_recover(size_t n, size_t i)
{
	const char *wrong = recover_and_judge();
	ck_assert_msg(wrong == NULL, "operation %zu, cut %zu: %s", n, i, wrong);
}

/* Once more at some operation of the recovery. */
static void must_recover_twice(size_t n, size_t i)
{
	model.power = (struct memory_power){ .cut_at = 1 + (size_t)rnd_below(25) };
	recover();
	beside_close(&model.beside);
	cut(cuts[rnd_below(CUTS)]);
	must_recover(n, i);
}

static void each_way(int index, void (*what)(size_t n, size_t cut_index))
{
	static const enum blockz_way ways[] = { BLOCKZ_WAY_IN_PLACE, BLOCKZ_WAY_SPLICE };
	make_file(index);
	for (int i = 0; i < 2; i++) {
		model.way = ways[i];
		crash_everywhere(what);
	}
	beside_free(&model.beside);
}

START_TEST(the_power_goes_at_each_operation)
{
	each_way(_i, must_recover);
}
END_TEST

START_TEST(the_power_goes_at_each_operation_and_again)
{
	each_way(_i, must_recover_twice);
}
END_TEST

/* Another file has taken the place of this one before anybody recovers. */
static void must_leave_other(size_t n, size_t i)
{
	struct beside *beside = &model.beside;
	bool has_overlay = memory_store_has_journal(&beside->place);
	const struct bytes other = model.other;
	const struct kept *mark = kept_so_far();
	memory_store_reset(&beside->file, other.data, other.len);
	enum blockz_status status = recover();
	ck_assert_msg(status == (has_overlay ? BLOCKZ_NEEDS_RECOVERY : BLOCKZ_OK), "operation %zu, cut %zu", n, i);
	ck_assert(beside->file.file.size == other.len && memcmp(beside->file.file.seen, other.data, other.len) == 0);
	ck_assert(memory_store_has_journal(&beside->place) == has_overlay);
	forget_since(mark);
}

START_TEST(another_file_is_left_alone)
{
	each_way(_i, must_leave_other);
}
END_TEST

/* ---- Variants ---- */

/* Another file has the place of the one that the overlay is beside. */
static void assert_is_other(struct bytes variant)
{
	struct beside *beside = &model.beside;
	ck_assert_int_eq(beside_open(beside, BLOCKZ_OVERLAY_READ), BLOCKZ_OK);
	ck_assert_int_eq(blockz_overlay_info(beside->overlay).state, BLOCKZ_OVERLAY_OF_FILE);
	memcpy(beside->file.file.seen, variant.data, variant.len);
	ck_assert_int_eq(beside_open(beside, BLOCKZ_OVERLAY_READ), BLOCKZ_OK);
	ck_assert_int_eq(blockz_overlay_info(beside->overlay).state, BLOCKZ_OVERLAY_OF_OTHER_FILE);
	memcpy(beside->file.file.seen, model.file.data, variant.len);
}

/* An edit in the middle of the file, in place. */
static struct bytes variant_of(struct bytes file, uint64_t off)
{
	struct blockz_source source = bytes_source(file);
	struct blockz_map *map = map_of(source, false);
	struct growing_store memory = { 0 };
	const struct blockz_store scratch = growing_store(&memory);
	const struct blockz_anywhere how = { .way = BLOCKZ_WAY_IN_PLACE, .scratch = &scratch };
	const struct bytes zeros = bytes_new(100);
	const struct blockz_edit edit = { .range = { off, off + zeros.len }, .data = bytes_source(zeros) };
	struct plain_store store = { .bytes = bytes_copy(file) };
	const struct blockz_store table = plain_store(&store);
	struct blockz_plan *plan = NULL;
	ck_assert_int_eq(blockz_plan_anywhere(&source, map, &edit, 1, &how, &plan, NULL), BLOCKZ_OK);
	ck_assert_int_eq(blockz_plan_apply(plan, &table, NULL), BLOCKZ_OK);
	blockz_plan_free(plan);
	blockz_map_free(map);
	growing_store_free(&memory);
	return store.bytes;
}

/*
 * A variant is alike in size and at both ends: it was made by an edit in the middle of a large file.  The overlay of the one is not
 * brought into the other, nor dropped beside it.
 */
START_TEST(a_variant_is_another_file)
{
	static const struct blockz_range middle[] = { { 300 * KIB, 400 * KIB } };
	const struct blockz_pack_options options = { .level = 2, .piece_size = 64 * KIB, .raw = middle, .raw_count = 1 };
	model.format = format_of(_i);
	struct bytes image = image_new(IMAGE_NOISE, MIB);
	fill_text(image.data + 500 * KIB, 100 * KIB);
	model.file = pack_image(model.format, image, options, NULL);
	beside_init(&model.beside, model.file);
	model.beside.digest = overlay_identity_pieces;
	beside_begin(&model.beside, MIB);
	ck_assert_int_eq(beside_put(&model.beside, 3, 'x'), BLOCKZ_OK);
	ck_assert_int_eq(overlay_flush(model.beside.overlay, NULL), BLOCKZ_OK);
	assert_is_other(variant_of(model.file, 350 * KIB)); /* raw bytes */
	assert_is_other(variant_of(model.file, 550 * KIB)); /* a piece that was encoded again */
	beside_free(&model.beside);
}
END_TEST

/* ---- What is needed ---- */

static size_t violations;

static void count_violation(size_t n, size_t i)
{
	(void)n, (void)i;
	violations += recover_and_judge() != NULL;
}

static const struct omission {
	const char *what;
	enum blockz_way way;
	unsigned file, place;
	bool rename, announcement;
} omissions[] = {
	{ "sync of the overlay", BLOCKZ_WAY_IN_PLACE, 0, 1U << STORE_JOURNAL_SYNC, false, false },
	{ "sync of the overlay's directory", BLOCKZ_WAY_IN_PLACE, 0, 1U << STORE_DIRECTORY_SYNC, false, false },
	{ "sync of the file", BLOCKZ_WAY_IN_PLACE, 1U << STORE_SYNC, 0, false, false },
	{ "sync of the journal", BLOCKZ_WAY_IN_PLACE, 1U << STORE_JOURNAL_SYNC, 0, false, false },
	{ "sync of the renamed name", BLOCKZ_WAY_SPLICE, 0, 0, true, false },
	{ "announcement", BLOCKZ_WAY_SPLICE, 0, 0, false, true },
};

START_TEST(each_step_is_needed)
{
	const struct omission *omission = &omissions[_i];
	make_file(0);
	ck_assert_str_eq(model.format->name, "gzip");
	model.way = omission->way;
	model.ignored_file = omission->file;
	model.ignored_place = omission->place;
	model.no_sync_of_rename = omission->rename;
	model.no_announcement = omission->announcement;
	crash_everywhere(count_violation);
	ck_assert_msg(violations > 0, "nothing needs it: %s", omission->what);
	beside_free(&model.beside);
}
END_TEST

int main(void)
{
	TCase *c = case_new("overlay_crash");
	case_add_formats(c, the_power_goes_at_each_operation);
	case_add_formats(c, the_power_goes_at_each_operation_and_again);
	case_add_formats(c, another_file_is_left_alone);
	case_add_formats(c, a_variant_is_another_file);
	tcase_add_loop_test(c, each_step_is_needed, 0, sizeof(omissions) / sizeof(omissions[0]));
	return case_run("overlay_crash", c);
}
