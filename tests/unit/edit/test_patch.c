/* SPDX-License-Identifier: BSD-3-Clause */
/* Plans of edits: what they hold, what is refused, and that damage stays what it is. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "images.h"

enum { PAGE = 4096 };

/* ---- Helpers ---- */

static const struct blockz_range raw[] = { { 5001, 90000 }, { 196608, 400000 }, { 500000, 505000 } };
enum { RAW_COUNT = 3, IMAGE_LEN = 600001 };

/* Text, which nobody stores, and anything in the raw ranges. */
static struct bytes new_image(void)
{
	struct bytes image = image_new(IMAGE_TEXT, IMAGE_LEN), disk = image_new(IMAGE_DISK, IMAGE_LEN);
	for (size_t i = 0; i < RAW_COUNT; i++)
		memcpy(image.data + raw[i].start, disk.data + raw[i].start, (size_t)(raw[i].end - raw[i].start));
	return image;
}

static struct bytes pack_raw(const struct blockz_format *format, struct bytes image, bool no_index)
{
	struct blockz_pack_options options = {
		.level = 1, .piece_size = format->piece_size_min, .no_index = no_index, .raw = raw, .raw_count = RAW_COUNT,
	};
	return pack_image(format, image, options, NULL);
}

static struct blockz_range range_in_raw(void)
{
	const struct blockz_range *within = &raw[rnd_below(RAW_COUNT)];
	struct blockz_range range = rnd_range(within->end - within->start);
	return (struct blockz_range){ within->start + range.start, within->start + range.end };
}

/* The index, if there is one, is as good as it was. */
static void assert_patched(const struct blockz_format *format, struct bytes file, struct bytes image, bool no_index)
{
	struct blockz_map *map = map_of(bytes_source(file), false);
	if (has_own_index(format))
		ck_assert_int_eq(blockz_map_info(map).index, no_index ? BLOCKZ_INDEX_NONE : BLOCKZ_INDEX_HEADER);
	blockz_map_free(map);
	assert_decodes(format->name, file, image);
	assert_verifies(file);
}

/* ---- What a plan holds ---- */

/* A write begins and ends with bytes that change, and so does something in each page of it. */
static void check_payload(const struct blockz_planned_write *write, struct bytes old, struct bytes new, bool *covered)
{
	uint64_t start = write->image_off, end = start + write->length;
	ck_assert_uint_le(end, old.len);
	ck_assert(old.data[start] != new.data[start]);
	ck_assert(old.data[end - 1] != new.data[end - 1]);
	for (uint64_t pos = start, next; pos < end; pos = next) {
		next = pos - pos % PAGE + PAGE < end ? pos - pos % PAGE + PAGE : end;
		ck_assert(memcmp(old.data + pos, new.data + pos, next - pos) != 0);
	}
	memset(covered + start, true, write->length);
}

static void check_plan(const struct blockz_plan *plan, struct bytes old, struct bytes new)
{
	struct blockz_plan_info info = blockz_plan_info(plan), sum = { 0 };
	struct blockz_planned_write write;
	bool *covered = keep(old.len);
	uint64_t pos = 0;
	for (; blockz_plan_write_at(plan, sum.writes, &write); sum.writes++) {
		ck_assert_uint_ge(write.file_off, pos);
		pos = write.file_off + write.length;
		*(write.image_off == BLOCKZ_UNKNOWN ? &sum.check_bytes : &sum.payload_bytes) += write.length;
		if (write.image_off != BLOCKZ_UNKNOWN)
			check_payload(&write, old, new, covered);
	}
	ck_assert_uint_eq(sum.writes, info.writes);
	ck_assert_uint_eq(sum.check_bytes, info.check_bytes);
	ck_assert_uint_eq(sum.payload_bytes, info.payload_bytes);
	bool missed = false;
	for (size_t i = 0; i < old.len; i++)
		missed = missed || (old.data[i] != new.data[i] && !covered[i]);
	ck_assert(!missed);
}

/* Applies a plan: no byte of the file changes that no write names. */
static void apply(const struct blockz_plan *plan, struct bytes file)
{
	struct plain_store self = { .bytes = file };
	struct blockz_store store = plain_store(&self);
	struct bytes before = bytes_copy(file);
	struct blockz_planned_write write;
	ck_assert_int_eq(blockz_plan_apply(plan, &store, NULL), BLOCKZ_OK);
	for (size_t i = 0; blockz_plan_write_at(plan, i, &write); i++)
		memcpy(before.data + write.file_off, file.data + write.file_off, (size_t)write.length);
	assert_bytes(file, before);
}

/* ---- Edits ---- */

/* Edits that overlap, some of which change nothing, or only a byte here and there. */
static size_t random_edits(struct blockz_edit *edits, size_t max, struct bytes image, struct bytes edited)
{
	size_t count = 1 + (size_t)rnd_below(max);
	for (size_t i = 0; i < count; i++) {
		struct blockz_range range = range_in_raw();
		struct bytes data = bytes_copy(image);
		uint8_t *bytes = data.data + range.start;
		size_t len = (size_t)(range.end - range.start);
		if (rnd() % 3 == 0)
			rnd_fill(bytes, len);
		for (uint64_t k = rnd_below(4); k > 0; k--)
			bytes[rnd_below(len)] ^= (uint8_t)(1 + rnd_below(255));
		edits[i] = edit_from(data, range);
		memcpy(edited.data + range.start, bytes, len);
	}
	return count;
}

START_TEST(random_edits_equal_those_of_the_plain_image)
{
	const struct blockz_format *format = format_of(_i);
	struct bytes first_image = new_image(), files[2];
	for (int no_index = 0; no_index < 2; no_index++)
		files[no_index] = pack_raw(format, first_image, no_index);
	for (int round = 0; round < (few_rounds ? 24 : 80); round++) {
		const struct kept *mark = kept_so_far();
		struct bytes image = first_image, file = bytes_copy(files[round & 1]);
		for (int again = 0; again < 2; again++) {
			struct bytes edited = bytes_copy(image), copy = bytes_copy(file);
			struct blockz_edit edits[12];
			size_t count = random_edits(edits, 12, image, edited);
			struct blockz_plan *plan = plan_of(file, round & 2, edits, count);
			check_plan(plan, image, edited);
			struct growing_sink sink = { .calls = 0 };
			struct blockz_sink out = growing_sink(&sink);
			struct blockz_source source = bytes_source(copy);
			apply(plan, file);
			ck_assert_int_eq(blockz_plan_copy(plan, &source, &out, NULL), BLOCKZ_OK);
			assert_bytes(sink.bytes, file);
			assert_patched(format, file, edited, round & 1);
			blockz_plan_free(plan);
			/* Once more: it is there already. */
			plan = plan_of(file, !(round & 2), edits, count);
			ck_assert_uint_eq(blockz_plan_info(plan).writes, 0);
			blockz_plan_free(plan);
			image = edited;
		}
		forget_since(mark);
	}
}
END_TEST

START_TEST(what_is_there_already_is_not_written)
{
	const struct blockz_format *format = format_of(_i);
	struct bytes image = new_image(), file = pack_raw(format, image, false);
	struct blockz_edit edits[RAW_COUNT + 1];
	for (size_t i = 0; i < RAW_COUNT; i++)
		edits[i] = edit_from(image, raw[i]);
	edits[RAW_COUNT] = edit_from(image, (struct blockz_range){ 100, 100 }); /* empty, where nothing is raw */
	for (size_t count = 0; count <= RAW_COUNT + 1; count++) {
		struct plain_store self = { .bytes = bytes_copy(file), .fail_at = 1 };
		struct blockz_store store = plain_store(&self);
		struct blockz_plan *plan = plan_of(file, false, edits, count);
		struct blockz_plan_info info = blockz_plan_info(plan);
		ck_assert_uint_eq(info.writes + info.check_bytes + info.payload_bytes, 0);
		ck_assert(!blockz_plan_write_at(plan, 0, &(struct blockz_planned_write){ 0 }));
		ck_assert_int_eq(blockz_plan_apply(plan, &store, NULL), BLOCKZ_OK);
		ck_assert_uint_eq(self.log_count + self.syncs, 0);
		blockz_plan_free(plan);
	}
}
END_TEST

START_TEST(a_byte_costs_a_byte)
{
	const struct blockz_format *format = format_of(_i);
	struct bytes image = new_image(), edited = bytes_copy(image);
	struct bytes file = pack_raw(format, image, false);
	const uint64_t at[] = { raw[0].start, raw[1].start + 3 * PAGE + 7, raw[1].start + 4 * PAGE - 1, raw[2].end - 1 };
	struct blockz_edit edits[RAW_COUNT];
	for (size_t i = 0; i < 4; i++)
		edited.data[at[i]] ^= 1;
	for (size_t i = 0; i < RAW_COUNT; i++)
		edits[i] = edit_from(edited, raw[i]);
	struct blockz_plan *plan = plan_of(file, false, edits, RAW_COUNT);
	/* The second and the third byte are in one page: one write, with what is between them. */
	ck_assert_uint_eq(blockz_plan_info(plan).payload_bytes, 2 + at[2] - at[1] + 1);
	blockz_plan_free(plan);
}
END_TEST

/* ---- What is refused ---- */

static void assert_refused(struct bytes file, const struct blockz_edit *edits, size_t count, enum blockz_status expected,
			   const char *word)
{
	struct bytes before = bytes_copy(file);
	for (int scan = 0; scan < 2; scan++) {
		struct blockz_fault fault = { .text = "" };
		ck_assert_int_eq(patch_file(file, scan, edits, count, NULL, &fault), expected);
		ck_assert_int_eq(fault.status, expected);
		ck_assert_int_eq(fault.state, BLOCKZ_IMAGE_UNCHANGED);
		ck_assert_msg(strstr(fault.text, word) != NULL, "'%s' lacks '%s'", fault.text, word);
		assert_bytes(file, before);
	}
}

START_TEST(edits_that_cannot_be)
{
	const struct blockz_format *format = format_of(_i);
	struct bytes image = new_image(), file = pack_raw(format, image, false);
	struct bytes other = bytes_join(image, image);
	complement(other, (struct blockz_range){ 0, other.len });
	const struct {
		struct blockz_range range;
		enum blockz_status status;
		const char *word;
	} cases[] = {
		{ { 0, 10 }, BLOCKZ_UNSUPPORTED, "image offset 0 " },
		{ { 4999, 5002 }, BLOCKZ_UNSUPPORTED, "4999" },
		{ { 89999, 90001 }, BLOCKZ_UNSUPPORTED, "90000" },
		{ { 5001, 400000 }, BLOCKZ_UNSUPPORTED, "90000" },
		{ { 600000, 600001 }, BLOCKZ_UNSUPPORTED, "600000" },
		{ { 0, IMAGE_LEN }, BLOCKZ_UNSUPPORTED, "image offset 0 " },
		{ { 600000, 600002 }, BLOCKZ_USAGE, "600002" },
		{ { 700000, 700001 }, BLOCKZ_USAGE, "700001" },
		{ { 20, 10 }, BLOCKZ_USAGE, "20-10" },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		/* Alone, and after an edit that could be. */
		struct blockz_edit edits[] = { edit_from(other, raw[0]), edit_from(other, cases[i].range) };
		assert_refused(file, &edits[1], 1, cases[i].status, cases[i].word);
		assert_refused(file, edits, 2, cases[i].status, cases[i].word);
	}
	struct blockz_edit edit = edit_from(other, raw[1]);
	edit.data_off = other.len - (raw[1].end - raw[1].start) + 1;
	assert_refused(file, &edit, 1, BLOCKZ_USAGE, "shorter");
	edit.data_off = UINT64_MAX - 5;
	assert_refused(file, &edit, 1, BLOCKZ_USAGE, "shorter");
	edit.data.size = BLOCKZ_UNKNOWN;
	assert_refused(file, &edit, 1, BLOCKZ_USAGE, "");
}
END_TEST

START_TEST(a_whole_image_may_differ_in_raw_ranges_alone)
{
	const struct blockz_format *format = format_of(_i);
	struct bytes image = new_image(), file = pack_raw(format, image, false);
	struct bytes edited = bytes_copy(image);
	struct blockz_edit edit = edit_from(edited, (struct blockz_range){ 0, IMAGE_LEN });
	edit.same_elsewhere = true;
	for (int i = 0; i < 10; i++)
		complement(edited, range_in_raw());
	const struct {
		uint64_t off;
		const char *text;
	} elsewhere[] = { { 0, "offset 0" }, { 5000, "5000" }, { 90000, "90000" }, { 450000, "450000" }, { 600000, "600000" } };
	for (size_t i = 0; i < 5; i++) {
		edited.data[elsewhere[i].off] ^= 1;
		edited.data[600000] ^= elsewhere[i].off != 600000; /* the first difference is the one that is named */
		assert_refused(file, &edit, 1, BLOCKZ_UNSUPPORTED, elsewhere[i].text);
		edited.data[600000] ^= elsewhere[i].off != 600000;
		edited.data[elsewhere[i].off] ^= 1;
	}
	struct blockz_plan_info info;
	ck_assert_int_eq(patch_file(file, false, &edit, 1, &info, NULL), BLOCKZ_OK);
	assert_patched(format, file, edited, false);
	ck_assert_int_eq(patch_file(file, true, &edit, 1, &info, NULL), BLOCKZ_OK);
	ck_assert_uint_eq(info.writes, 0);
}
END_TEST

START_TEST(new_data_that_cannot_be_read_is_blamed)
{
	const struct blockz_format *format = format_of(_i);
	struct bytes image = new_image(), file = pack_raw(format, image, false), edited = bytes_copy(image);
	complement(edited, raw[0]);
	struct flaky_source flaky = { .bytes = edited };
	const struct blockz_edit edit = { .range = { 0, IMAGE_LEN }, .data = flaky_source(&flaky), .same_elsewhere = true };
	blockz_plan_free(plan_of(file, false, &edit, 1));
	unsigned reads = flaky.reads;
	ck_assert_uint_gt(reads, 2 * RAW_COUNT);
	for (flaky.fail_at = 1; flaky.fail_at <= reads; flaky.fail_at++) {
		struct blockz_fault fault = { .text = "" };
		flaky.reads = 0;
		ck_assert_int_eq(patch_file(file, false, &edit, 1, NULL, &fault), BLOCKZ_FAILED);
		ck_assert_int_eq(fault.error, EIO);
		ck_assert_msg(fault.subject == BLOCKZ_ABOUT_EDIT, "read %u: subject %d", flaky.fail_at, (int)fault.subject);
	}
}
END_TEST

/* ---- Damage ---- */

static bool is_raw_payload(const struct blockz_map *map, uint64_t file_off)
{
	struct blockz_extent extent;
	for (size_t i = 0; i < RAW_COUNT; i++)
		for (uint64_t off = raw[i].start; off < raw[i].end; off = extent.start + extent.length) {
			blockz_map_extent_at(map, off, &extent);
			if (file_off >= extent.file_off && file_off < extent.file_off + extent.length)
				return true;
		}
	return false;
}

/*
 * Whatever bit was flipped: a decoder that refused the file before an edit refuses it afterwards; in raw payload, whose
 * pieces have checks of their own, the edit is refused where it touches the piece.
 */
START_TEST(damage_is_never_laundered)
{
	const struct blockz_format *format = format_of(_i);
	struct bytes image = new_image(), edited = bytes_copy(image);
	struct bytes good = pack_raw(format, image, false);
	struct blockz_map *map = map_of(bytes_source(good), false);
	unsigned refused = 0, applied = 0, raw_refused = 0;
	complement(edited, (struct blockz_range){ 250000, 260000 });
	struct blockz_edit edit = edit_from(edited, (struct blockz_range){ 250000, 260000 });
	struct bytes file = bytes_new(good.len);
	for (int i = 0; i < (few_rounds ? 100 : 400); i++) {
		memcpy(file.data, good.data, good.len);
		/* In the head, in the bytes of the edit, anywhere. */
		struct blockz_extent extent;
		ck_assert(blockz_map_extent_at(map, 250000 + rnd_below(10000), &extent));
		uint64_t at = i % 4 == 0 ? rnd_below(300) : i % 4 == 2 ? extent.file_off : rnd_below(good.len);
		file.data[at] ^= (uint8_t)(1u << rnd_below(8));
		bool bad = !judge_says(format->name, file, image);
		struct blockz_source source = bytes_source(file);
		struct blockz_map *damaged = NULL;
		if (blockz_map_read(&source, &(struct blockz_map_options){ .scan = i % 2 }, &damaged, NULL) != BLOCKZ_OK)
			continue;
		blockz_map_free(damaged);
		struct blockz_fault fault;
		if (patch_file(file, i % 2, &edit, 1, NULL, &fault) == BLOCKZ_OK) {
			applied++;
			ck_assert_int_eq(judge_says(format->name, file, edited), !bad);
			struct blockz_verify_result result;
			ck_assert(!bad || verify_file(file, false, &result, NULL) != BLOCKZ_OK);
		} else {
			ck_assert_int_eq(fault.status, BLOCKZ_DAMAGED);
			ck_assert_uint_lt(fault.offset, file.len);
			raw_refused += is_raw_payload(map, at);
			refused++;
		}
	}
	blockz_map_free(map);
	ck_assert_uint_gt(applied, 40);
	ck_assert_uint_gt(refused, 20);
	ck_assert_uint_gt(raw_refused, 20);
}
END_TEST

START_TEST(damaged_raw_bytes_are_not_overwritten)
{
	const struct blockz_format *format = format_of(_i);
	struct bytes image = new_image(), good = pack_raw(format, image, false);
	struct bytes edited = bytes_copy(image);
	struct blockz_map *map = map_of(bytes_source(good), false);
	complement(edited, (struct blockz_range){ 200000, 200100 });
	struct blockz_edit edit = edit_from(edited, (struct blockz_range){ 200000, 200100 });
	/* In the bytes of the edit, before and behind them in the same piece. */
	const uint64_t at[] = { 200050, 200000, 200099, 196608, 196608 + format->piece_size_min - 1 };
	for (size_t i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
		struct blockz_extent extent;
		struct bytes file = bytes_copy(good);
		struct blockz_fault fault;
		ck_assert(blockz_map_extent_at(map, at[i], &extent));
		file.data[extent.file_off] ^= 0x10;
		struct bytes damaged = bytes_copy(file);
		ck_assert_int_eq(patch_file(file, false, &edit, 1, NULL, &fault), BLOCKZ_DAMAGED);
		if (has_own_index(format)) /* else it is that of the check, behind the payload */
			ck_assert_uint_le(fault.offset, extent.file_off);
		ck_assert_uint_gt(fault.offset + 3 * format->piece_size_min, extent.file_off);
		assert_bytes(file, damaged);
	}
	blockz_map_free(map);
}
END_TEST

/*
 * gzip: an index is believed only where what stands around the range bears it out: the headers of its blocks, the flush
 * mark before it, and the piece behind it.
 */
START_TEST(damage_around_a_raw_range_is_found)
{
	const struct blockz_format *format = format_of(0);
	struct bytes image = new_image(), edited = bytes_copy(image), good = pack_raw(format, image, false);
	struct blockz_map *map = map_of(bytes_source(good), false);
	struct blockz_extent first, last;
	ck_assert_str_eq(format->name, "gzip");
	ck_assert(blockz_map_extent_at(map, raw[0].start, &first));
	ck_assert(blockz_map_extent_at(map, raw[0].end - 1, &last));
	blockz_map_free(map);
	complement(edited, raw[0]);
	struct blockz_edit edit = edit_from(edited, raw[0]);
	const struct blockz_range around[] = {
		{ first.file_off - 9, first.file_off },
		{ first.file_off + first.length, first.file_off + first.length + 5 },
		{ last.file_off + 1, last.file_off + 41 },
	};
	for (size_t i = 0; i < 3; i++) {
		for (uint64_t bit = around[i].start * 8; bit < around[i].end * 8; bit++) {
			struct bytes file = bytes_flipped(good, bit);
			struct blockz_fault fault;
			ck_assert_int_eq(patch_file(file, false, &edit, 1, NULL, &fault), BLOCKZ_DAMAGED);
			ck_assert_uint_gt(fault.offset + 70000, bit / 8);
			ck_assert_uint_lt(fault.offset, bit / 8 + 70000);
		}
	}
}
END_TEST

int main(void)
{
	TCase *c = case_new("patch");
	case_add_formats(c, random_edits_equal_those_of_the_plain_image);
	case_add_formats(c, what_is_there_already_is_not_written);
	case_add_formats(c, a_byte_costs_a_byte);
	case_add_formats(c, edits_that_cannot_be);
	case_add_formats(c, a_whole_image_may_differ_in_raw_ranges_alone);
	case_add_formats(c, new_data_that_cannot_be_read_is_blamed);
	case_add_formats(c, damage_is_never_laundered);
	case_add_formats(c, damaged_raw_bytes_are_not_overwritten);
	tcase_add_test(c, damage_around_a_raw_range_is_found);
	return case_run("patch", c);
}
