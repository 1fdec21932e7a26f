/* SPDX-License-Identifier: BSD-3-Clause */
/* Each allocation of each operation on compressed files fails in turn, alone and with all that follow. */
#include <libdeflate.h>
#include <lzma.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "blockz_disk.h"
#include "foreign.h"
#include "foreign_xz.h"
#include "foreign_zst.h"
#include "judge.h"
#include "mapped/piece.h"
#include "range/map.h"
#include "short_memory.h"
#include "transactions.h"

/* ---- What is worked on ---- */

enum { LEN = 6 * 64 * KIB + 1000, LONG = PIECE_MEMORY_MAX + MIB, LONG_BEGINNING = 2 * MIB, EDITS = 2, FORMATS = 3 };

static const struct blockz_format *format;
static const struct blockz_range raw[] = { { 20000, 90000 }, { 300000, 330000 } };
static const struct blockz_work serial = { .threads = 1 };
static struct bytes image, edited, file, edited_file;
static struct blockz_source image_source, no_source, file_source;
static struct blockz_map *file_map, *scanned_map;
static struct blockz_edit edits[EDITS];
static struct fixed_sink sink;
static struct memory_store store;
static struct sample sample;
/* What an operation has made. */
static struct blockz_map *made_map;
static struct blockz_plan *made_plan;
static enum recovery_journal found_journal;

/* One piece, too long for memory, and not zeros; by each format, once for all tests. */
static struct long_piece {
	struct blockz_source source;
	struct blockz_map *map;
} long_pieces[FORMATS], *long_piece;

static struct bytes compress_long(const char *name, struct bytes long_image)
{
	if (strcmp(name, "gzip") == 0)
		return zlib_pack(long_image, 6, Z_DEFAULT_STRATEGY);
	if (strcmp(name, "xz") == 0)
		return xz_easy(long_image, 0, LZMA_CHECK_SHA256);
	return zst_compress(long_image, true, NULL, 0);
}

static void make_long_pieces(void)
{
	struct bytes long_image = bytes_new(LONG);
	memset(long_image.data, 'l', LONG);
	for (int i = 0; i < FORMATS; i++) {
		long_pieces[i].source = bytes_source(compress_long(format_of(i)->name, long_image));
		long_pieces[i].map = map_of(long_pieces[i].source, false);
	}
}

static void free_long_pieces(void)
{
	for (int i = 0; i < FORMATS; i++)
		blockz_map_free(long_pieces[i].map);
}

static void set_up(void)
{
	const struct blockz_pack_options options = { .level = 2, .piece_size = 64 * KIB, .raw = raw, .raw_count = 2 };
	libdeflate_set_memory_allocator(malloc, free);
	image = image_new(IMAGE_TEXT, LEN);
	memset(image.data + 2 * 64 * KIB, 0, 128 * KIB);
	file = pack_image(format, image, options, NULL);
	edited = bytes_copy(image);
	complement(edited, (struct blockz_range){ 30000, 30010 });
	complement(edited, (struct blockz_range){ 310000, 311000 });
	edits[0] = edit_from(edited, (struct blockz_range){ 25000, 40000 });
	edits[1] = edit_from(edited, (struct blockz_range){ 310000, 311000 });
	edited_file = bytes_copy(file);
	patch_file(edited_file, false, edits, EDITS, NULL, NULL);
	image_source = bytes_source(image);
	no_source = bytes_source(bytes_new(0));
	file_source = bytes_source(file);
	file_map = map_of(file_source, false);
	scanned_map = map_of(file_source, true);
	sink.room = bytes_new(LONG);
	sample_init(&sample);
	/* Stores that have been used once have all the memory they need. */
	memory_store_init(&store, file.data, file.len);
	sample_interrupt(&sample, &store, 3);
	memory_store_reset(&store, file.data, file.len);
}

static void teardown(void)
{
	blockz_map_free(file_map);
	blockz_map_free(scanned_map);
	memory_store_free(&store);
	sample_free(&sample);
	blockz_map_free(made_map);
	blockz_plan_free(made_plan);
}

/* ---- Operations, and whether they have done what they say ---- */

static void empty_sink(void)
{
	sink.len = 0;
}

static enum blockz_status pack_by(int level, const char *check, struct blockz_fault *fault)
{
	const struct blockz_pack_options options = {
		.format = format->name, .level = level, .check = check, .piece_size = 64 * KIB,
		.raw = raw, .raw_count = 2, .work = serial,
	};
	struct blockz_pack_result result;
	struct blockz_sink out = fixed_sink(&sink);
	return blockz_pack(&image_source, &out, &options, &result, fault);
}

static enum blockz_status run_pack(struct blockz_fault *fault)
{
	return pack_by(6, NULL, fault);
}

static enum blockz_status run_pack_fast(struct blockz_fault *fault)
{
	return pack_by(1, strcmp(format->name, "xz") == 0 ? "sha256" : NULL, fault);
}

static bool sink_has_a_file(void)
{
	return judge_says(format->name, (struct bytes){ sink.room.data, sink.len }, image);
}

static void drop_map(void)
{
	blockz_map_free(made_map);
	made_map = NULL;
}

static enum blockz_status run_map(struct blockz_fault *fault)
{
	return blockz_map_read(&file_source, NULL, &made_map, fault);
}

static enum blockz_status run_scan(struct blockz_fault *fault)
{
	return blockz_map_read(&file_source, &(struct blockz_map_options){ .scan = true }, &made_map, fault);
}

static bool is_like(const struct blockz_map *map)
{
	return made_map->index == map->index && made_map->piece_count == map->piece_count &&
	       made_map->span_count == map->span_count && made_map->check_count == map->check_count;
}

static bool map_is_right(void)
{
	return is_like(file_map);
}

static bool scan_is_right(void)
{
	return is_like(scanned_map);
}

static bool no_map(void)
{
	return made_map == NULL;
}

static enum blockz_status run_verify(struct blockz_fault *fault)
{
	const struct blockz_verify_options options = { .against = &image_source, .work = serial };
	struct blockz_verify_result result;
	return blockz_verify(&file_source, &options, &result, fault);
}

static void fresh_store(void)
{
	blockz_plan_free(made_plan);
	made_plan = NULL;
	memory_store_reset(&store, file.data, file.len);
}

static enum blockz_status run_patch(struct blockz_fault *fault)
{
	struct blockz_store table = memory_store(&store);
	enum blockz_status status = blockz_plan_new(&file_source, file_map, edits, EDITS, &serial, &made_plan, fault);
	return status == BLOCKZ_OK ? blockz_plan_apply(made_plan, &table, fault) : status;
}

static bool store_holds(struct bytes bytes)
{
	return memcmp(store.file.seen, bytes.data, bytes.len) == 0 && !memory_store_has_journal(&store);
}

static bool store_is_new(void)
{
	return store_holds(edited_file);
}

static bool store_is_old(void)
{
	struct blockz_store table = memory_store(&store);
	enum blockz_recovery recovery;
	memory_store_reopen(&store);
	return blockz_recover(&table, BLOCKZ_REMEDY_RECOVER, &recovery, NULL) == BLOCKZ_OK && store_holds(file);
}

static enum blockz_status run_copy(struct blockz_fault *fault)
{
	enum blockz_status status = blockz_plan_new(&file_source, file_map, edits, EDITS, &serial, &made_plan, fault);
	struct blockz_sink out = fixed_sink(&sink);
	return status == BLOCKZ_OK ? blockz_plan_copy(made_plan, &file_source, &out, fault) : status;
}

static void fresh_plan(void)
{
	fresh_store();
	empty_sink();
}

static bool sink_has_the_edited_file(void)
{
	return sink.len == file.len && memcmp(sink.room.data, edited_file.data, file.len) == 0;
}

static void interrupted_store(void)
{
	sample_interrupt(&sample, &store, 3);
}

static enum blockz_status run_recover(struct blockz_fault *fault)
{
	struct blockz_store table = memory_store(&store);
	enum blockz_recovery recovery;
	return blockz_recover(&table, BLOCKZ_REMEDY_RECOVER, &recovery, fault);
}

/* Another file of the same size, beside the journal. */
static void strangers_store(void)
{
	sample_interrupt(&sample, &store, 3);
	store.file.seen[30000] ^= 1;
}

static enum blockz_status run_look(struct blockz_fault *fault)
{
	struct blockz_store table = memory_store(&store);
	found_journal = RECOVERY_NO_JOURNAL;
	return recovery_look(&table, &found_journal, fault);
}

static bool journal_is_another_files(void)
{
	return found_journal == RECOVERY_OF_OTHER_FILE && memory_store_has_journal(&store);
}

static bool sample_is_whole(void)
{
	return sample_is_old(&sample, &store) && !memory_store_has_journal(&store);
}

static bool sample_can_be_recovered(void)
{
	memory_store_reopen(&store);
	return run_recover(NULL) == BLOCKZ_OK && sample_is_whole();
}

/* One unit written to twice and another, so that the journal is made and appended to. */
static enum blockz_status run_disk(struct blockz_fault *fault)
{
	static const struct blockz_range writes[] = { { 30000, 30010 }, { 310000, 311000 } };
	const struct blockz_disk_options options = { .cache = MIB };
	struct blockz_store table = memory_store(&store);
	struct blockz_disk *disk = NULL;
	struct blockz_fault later;
	uint8_t bytes[100];
	enum blockz_status status = blockz_disk_open(&table, &options, &disk, fault);
	for (size_t i = 0; i < 2 && status == BLOCKZ_OK; i++)
		status = blockz_disk_write(disk, edited.data + writes[i].start,
					   (size_t)(writes[i].end - writes[i].start), writes[i].start, fault);
	if (status == BLOCKZ_OK)
		status = blockz_disk_read(disk, bytes, sizeof(bytes), 0, fault);
	if (disk == NULL)
		return status;
	enum blockz_status closed = blockz_disk_close(disk, &later);
	if (status == BLOCKZ_OK && closed != BLOCKZ_OK)
		*fault = later;
	return status == BLOCKZ_OK ? closed : status;
}

static bool disk_is_new(void)
{
	return judge_says(format->name, (struct bytes){ store.file.seen, store.file.size }, edited);
}

/* Recovered if need be, it is valid, and each write is there or not. */
static bool disk_is_whole(void)
{
	struct blockz_store table = memory_store(&store);
	enum blockz_recovery recovery;
	size_t len = 0;
	memory_store_reopen(&store);
	if (blockz_recover(&table, BLOCKZ_REMEDY_RECOVER, &recovery, NULL) != BLOCKZ_OK ||
	    !judge(format->name, (struct bytes){ store.file.seen, store.file.size }, sink.room, &len) || len != LEN)
		return false;
	for (size_t i = 0; i < LEN; i++)
		if (sink.room.data[i] != image.data[i] && sink.room.data[i] != edited.data[i])
			return false;
	return true;
}

/* The power goes before the disk can commit. */
static void interrupted_disk(void)
{
	const struct blockz_disk_options options = { .cache = MIB };
	struct blockz_store table = memory_store(&store);
	struct blockz_disk *disk = NULL;
	fresh_store();
	table = memory_store(&store);
	ck_assert_int_eq(blockz_disk_open(&table, &options, &disk, NULL), BLOCKZ_OK);
	ck_assert_int_eq(blockz_disk_write(disk, edited.data + 30000, 10, 30000, NULL), BLOCKZ_OK);
	ck_assert_int_eq(blockz_disk_write(disk, edited.data + 310000, 1000, 310000, NULL), BLOCKZ_OK);
	store.cut_at = store.step_count + 1;
	ck_assert_int_eq(blockz_disk_close(disk, NULL), BLOCKZ_FAILED);
	memory_store_rewind(&store);
	ck_assert(memory_store_has_journal(&store));
}

static enum blockz_status run_extract(struct blockz_fault *fault)
{
	struct blockz_sink out = fixed_sink(&sink);
	return blockz_extract(&file_source, file_map, (struct blockz_range){ 0, LEN }, &out, &serial, fault);
}

static enum blockz_status run_extract_long(struct blockz_fault *fault)
{
	struct blockz_sink out = fixed_sink(&sink);
	return blockz_extract(&long_piece->source, long_piece->map, (struct blockz_range){ 0, LONG }, &out, &serial, fault);
}

static enum blockz_status run_read(struct blockz_fault *fault)
{
	struct blockz_reader *reader = NULL;
	enum blockz_status status = blockz_reader_new(&file_source, file_map, &reader, fault);
	for (; sink.len < LEN && status == BLOCKZ_OK; sink.len += 1000) {
		size_t part = LEN - sink.len < 1000 ? LEN - sink.len : 1000;
		status = blockz_reader_read(reader, sink.room.data + sink.len, part, sink.len, fault);
	}
	blockz_reader_free(reader);
	return status;
}

/* A byte of a later part first, so that it has to go back; marks are laid on the way, and more of them would be alike. */
static enum blockz_status run_read_long(struct blockz_fault *fault)
{
	struct blockz_reader *reader = NULL;
	uint8_t later = 0;
	enum blockz_status status = blockz_reader_new(&long_piece->source, long_piece->map, &reader, fault);
	if (status == BLOCKZ_OK)
		status = blockz_reader_read(reader, &later, 1, LONG / 8, fault);
	for (; sink.len < LONG_BEGINNING && status == BLOCKZ_OK; sink.len += LONG_BEGINNING / 4)
		status = blockz_reader_read(reader, sink.room.data + sink.len, LONG_BEGINNING / 4, sink.len, fault);
	blockz_reader_free(reader);
	return status;
}

static bool sink_has_the_image(void)
{
	return sink.len >= LEN && memcmp(sink.room.data, image.data, LEN) == 0;
}

static bool sink_has_the_long_image_up_to(size_t len)
{
	return sink.len == len && sink.room.data[0] == 'l' && memcmp(sink.room.data, sink.room.data + 1, len - 1) == 0;
}

static bool sink_has_the_long_image(void)
{
	return sink_has_the_long_image_up_to(LONG);
}

static bool sink_has_its_beginning(void)
{
	return sink_has_the_long_image_up_to(LONG_BEGINNING);
}

static enum blockz_status run_verify_long(struct blockz_fault *fault)
{
	const struct blockz_verify_options options = { .work = serial };
	struct blockz_verify_result result;
	return blockz_verify(&long_piece->source, &options, &result, fault);
}

static enum blockz_status run_pack_nothing(struct blockz_fault *fault)
{
	const struct blockz_pack_options options = { .level = 2, .format = format->name, .piece_size = 64 * KIB, .work = serial };
	struct blockz_pack_result result;
	struct blockz_sink out = fixed_sink(&sink);
	return blockz_pack(&no_source, &out, &options, &result, fault);
}

static bool sink_has_an_empty_file(void)
{
	return judge_says(format->name, (struct bytes){ sink.room.data, sink.len }, (struct bytes){ image.data, 0 });
}

static const struct operation operations[] = {
	{ .name = "pack", .prepare = empty_sink, .run = run_pack, .is_right = sink_has_a_file },
	{ .name = "pack at the fastest level", .prepare = empty_sink, .run = run_pack_fast, .is_right = sink_has_a_file },
	{ .name = "pack nothing", .prepare = empty_sink, .run = run_pack_nothing, .is_right = sink_has_an_empty_file },
	{ .name = "map by the index", .prepare = drop_map, .run = run_map, .is_right = map_is_right,
	  .is_clean = no_map },
	{ .name = "map by scanning", .prepare = drop_map, .run = run_scan, .is_right = scan_is_right,
	  .is_clean = no_map },
	{ .name = "verify", .prepare = empty_sink, .run = run_verify },
	{ .name = "patch", .prepare = fresh_store, .run = run_patch, .is_right = store_is_new,
	  .is_clean = store_is_old },
	{ .name = "patched copy", .prepare = fresh_plan, .run = run_copy, .is_right = sink_has_the_edited_file },
	{ .name = "recover", .prepare = interrupted_store, .run = run_recover, .is_right = sample_is_whole,
	  .is_clean = sample_can_be_recovered },
	{ .name = "look", .prepare = strangers_store, .run = run_look, .is_right = journal_is_another_files },
	{ .name = "disk", .prepare = fresh_store, .run = run_disk, .is_right = disk_is_new,
	  .is_clean = disk_is_whole, .may_succeed = true },
	{ .name = "recover a disk", .prepare = interrupted_disk, .run = run_recover, .is_right = disk_is_new,
	  .is_clean = disk_is_whole },
	{ .name = "extract", .prepare = empty_sink, .run = run_extract, .is_right = sink_has_the_image },
	{ .name = "extract a long piece", .prepare = empty_sink, .run = run_extract_long,
	  .is_right = sink_has_the_long_image },
	{ .name = "verify a long piece", .prepare = empty_sink, .run = run_verify_long },
	{ .name = "read a long piece", .prepare = empty_sink, .run = run_read_long, .is_right = sink_has_its_beginning,
	  .may_succeed = true },
	{ .name = "read", .prepare = empty_sink, .run = run_read, .is_right = sink_has_the_image },
};

enum { OPERATIONS = sizeof(operations) / sizeof(operations[0]) };

START_TEST(each_allocation_fails)
{
	format = format_of(_i / 2 / OPERATIONS);
	long_piece = &long_pieces[_i / 2 / OPERATIONS];
	set_up();
	fail_allocations(&operations[_i / 2 % OPERATIONS], format->name, _i % 2 != 0);
}
END_TEST

int main(void)
{
	TCase *c = case_new("nomem");
	tcase_add_unchecked_fixture(c, make_long_pieces, free_long_pieces);
	tcase_add_checked_fixture(c, NULL, teardown);
	tcase_add_loop_test(c, each_allocation_fails, 0, 2 * OPERATIONS * FORMATS);
	return case_run("nomem", c);
}
