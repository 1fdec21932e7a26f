/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What fails while compressed bytes are edited: each read of the file and of the new data, each call of the scratch, each
 * write of a new file, each step of a store.  And what an edit that succeeds writes: whole pieces, checks and the index.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "growing_store.h"
#include "images.h"
#include "range/map.h"
#include "stores.h"

enum { PIECE = 64 * KIB, LEN = 4 * PIECE + 1000, EDITS = 3, CALLS_MAX = 2000 };

/* In text at the edge of two pieces, in a raw range, and at the end. */
static const struct blockz_range places[EDITS] = {
	{ PIECE - 10, PIECE + 5 }, { 3 * PIECE + 70, 3 * PIECE + 90 }, { LEN - 500, LEN - 7 },
};
static const struct blockz_range raw = { 3 * PIECE + 20, 3 * PIECE + 30000 };

/* A file, the edits of it, and all that can fail. */
struct scene {
	const struct blockz_format *format;
	struct bytes image, edited, file;
	struct blockz_map *map;
	struct flaky_source source, data;
	struct growing_store scratch_room;
	struct blockz_store scratch;
	struct growing_sink sink;
	struct memory_store store;
};

/* Small changes of text leave it as short as it was. */
static void change(struct scene *scene, struct blockz_range range)
{
	memmove(scene->edited.data + range.start, scene->image.data + range.start + 7, (size_t)(range.end - range.start));
}

static void scene_init(struct scene *scene, const struct blockz_format *format)
{
	const struct blockz_pack_options options = { .piece_size = PIECE, .level = 1, .raw = &raw, .raw_count = 1 };
	*scene = (struct scene){ .format = format, .image = image_new(IMAGE_TEXT, LEN) };
	memset(scene->image.data + 2 * PIECE, 0, PIECE);
	scene->edited = bytes_copy(scene->image);
	for (size_t i = 0; i < EDITS; i++)
		change(scene, places[i]);
	scene->file = pack_image(format, scene->image, options, NULL);
	scene->map = map_of(bytes_source(scene->file), false);
	memory_store_init(&scene->store, scene->file.data, scene->file.len);
}

static void scene_free(struct scene *scene)
{
	blockz_map_free(scene->map);
	growing_store_free(&scene->scratch_room);
	memory_store_free(&scene->store);
}

/* All as at first, with nothing to fail. */
static void scene_reset(struct scene *scene)
{
	growing_store_free(&scene->scratch_room);
	scene->scratch = growing_store(&scene->scratch_room);
	scene->source = (struct flaky_source){ .bytes = scene->file };
	scene->data = (struct flaky_source){ .bytes = scene->edited };
	scene->sink = (struct growing_sink){ .calls = 0 };
	memory_store_reset(&scene->store, scene->file.data, scene->file.len);
}

static enum blockz_status scene_plan(struct scene *scene, enum blockz_way way, struct blockz_plan **plan_ret,
				     struct blockz_fault *fault)
{
	struct blockz_edit edits[EDITS];
	const struct blockz_source source = flaky_source(&scene->source);
	const struct blockz_anywhere how = { .way = way, .scratch = &scene->scratch, .work = { .threads = 1 + (unsigned)rnd_below(2) } };
	for (size_t i = 0; i < EDITS; i++)
		edits[i] = (struct blockz_edit){ places[i], flaky_source(&scene->data), places[i].start, false };
	return blockz_plan_anywhere(&source, scene->map, edits, EDITS, &how, plan_ret, fault);
}

static enum blockz_status carry_out(struct scene *scene, const struct blockz_plan *plan, struct blockz_fault *fault)
{
	const struct blockz_source source = flaky_source(&scene->source);
	const struct blockz_store store = memory_store(&scene->store);
	const struct blockz_sink sink = growing_sink(&scene->sink);
	return blockz_plan_info(plan).is_splice ? blockz_plan_copy(plan, &source, &sink, fault)
						: blockz_plan_apply(plan, &store, fault);
}

static enum blockz_status scene_run(struct scene *scene, enum blockz_way way, struct blockz_fault *fault)
{
	struct blockz_plan *plan = NULL;
	enum blockz_status status = scene_plan(scene, way, &plan, fault);
	ck_assert_int_eq(plan != NULL, status == BLOCKZ_OK);
	if (status == BLOCKZ_OK)
		status = carry_out(scene, plan, fault);
	blockz_plan_free(plan);
	return status;
}

static struct bytes store_bytes(const struct scene *scene)
{
	return (struct bytes){ scene->store.file.seen, scene->store.file.size };
}

static void assert_done(const struct scene *scene, enum blockz_way way)
{
	ck_assert(!memory_store_has_journal(&scene->store));
	assert_decodes(scene->format->name, way == BLOCKZ_WAY_SPLICE ? scene->sink.bytes : store_bytes(scene), scene->edited);
	if (way == BLOCKZ_WAY_SPLICE)
		assert_bytes(store_bytes(scene), scene->file);
}

/* ---- Failures of what is read and written ---- */

enum part { THE_FILE, NEW_DATA, SCRATCH, SINK, PARTS };

static void fail_call(struct scene *scene, enum part part, unsigned n)
{
	scene->source.fail_at = part == THE_FILE ? n : 0;
	scene->data.fail_at = part == NEW_DATA ? n : 0;
	scene->scratch_room.fail_at = part == SCRATCH ? n : 0;
	scene->sink.fail_at = part == SINK ? n : 0;
}

/* Each call of one part fails in turn: the edit fails with a reason and leaves the store as it was, until it succeeds. */
static unsigned fail_each(struct scene *scene, enum blockz_way way, enum part part)
{
	for (unsigned n = 1; n < CALLS_MAX; n++) {
		struct blockz_fault fault = { .status = BLOCKZ_OK };
		scene_reset(scene);
		fail_call(scene, part, n);
		enum blockz_status status = scene_run(scene, way, &fault);
		if (status == BLOCKZ_OK) {
			assert_done(scene, way);
			return n - 1;
		}
		ck_assert_msg(status == BLOCKZ_FAILED, "part %d, call %u: status %d: %s", part, n, status, fault.text);
		ck_assert_msg(strstr(fault.text, strerror(EIO)) != NULL, "part %d, call %u: %s", part, n, fault.text);
		ck_assert_int_eq(fault.subject == BLOCKZ_ABOUT_EDIT, part == NEW_DATA);
		ck_assert_int_eq(fault.subject == BLOCKZ_ABOUT_OUTPUT, part == SINK);
		ck_assert(!memory_store_has_journal(&scene->store));
		assert_bytes(store_bytes(scene), scene->file);
	}
	ck_abort_msg("part %d: it never succeeds", part);
}

START_TEST(each_call_fails)
{
	static const enum blockz_way ways[] = { BLOCKZ_WAY_IN_PLACE, BLOCKZ_WAY_SPLICE };
	struct scene scene;
	scene_init(&scene, format_of(_i));
	for (size_t i = 0; i < 2; i++)
		for (enum part part = THE_FILE; part < PARTS; part++) {
			unsigned calls = fail_each(&scene, ways[i], part);
			ck_assert_int_eq(calls > 0, part != SINK || ways[i] == BLOCKZ_WAY_SPLICE);
		}
	scene_free(&scene);
}
END_TEST

/* ---- Failures of the store ---- */

/* What is left is as the state says, and after a recovery it is the old or the new file. */
static void check_state(struct scene *scene, const struct blockz_fault *fault, struct bytes new)
{
	struct blockz_store store = memory_store(&scene->store);
	enum blockz_recovery recovery = BLOCKZ_RECOVERY_NONE;
	bool is_old = memcmp(scene->store.file.seen, scene->file.data, scene->file.len) == 0;
	bool is_new = memcmp(scene->store.file.seen, new.data, new.len) == 0;
	ck_assert_uint_eq(scene->store.file.size, scene->file.len);
	if (fault->state == BLOCKZ_IMAGE_UNCHANGED || fault->state == BLOCKZ_IMAGE_ROLLED_BACK)
		ck_assert(is_old);
	if (fault->state == BLOCKZ_IMAGE_UPDATED)
		ck_assert(is_new);
	memory_store_reopen(&scene->store);
	ck_assert_int_eq(blockz_recover(&store, BLOCKZ_REMEDY_RECOVER, &recovery, NULL), BLOCKZ_OK);
	ck_assert(recovery == BLOCKZ_RECOVERY_NONE || fault->state == BLOCKZ_IMAGE_NEEDS_RECOVERY);
	ck_assert(!memory_store_has_journal(&scene->store));
	ck_assert(memcmp(scene->store.file.seen, scene->file.data, scene->file.len) == 0 ||
		  memcmp(scene->store.file.seen, new.data, new.len) == 0);
}

START_TEST(each_step_of_the_store_fails)
{
	struct scene scene;
	scene_init(&scene, format_of(_i / 2));
	struct blockz_plan *plan = NULL;
	size_t states[BLOCKZ_IMAGE_NEEDS_RECOVERY + 1] = { 0 };
	scene_reset(&scene);
	ck_assert_int_eq(scene_plan(&scene, BLOCKZ_WAY_IN_PLACE, &plan, NULL), BLOCKZ_OK);
	ck_assert_int_eq(carry_out(&scene, plan, NULL), BLOCKZ_OK);
	assert_done(&scene, BLOCKZ_WAY_IN_PLACE);
	struct bytes new = bytes_copy(store_bytes(&scene));
	enum blockz_status status = BLOCKZ_FAILED;
	for (size_t n = 1; status != BLOCKZ_OK; n++) {
		struct blockz_fault fault = { .status = BLOCKZ_OK };
		ck_assert_uint_lt(n, CALLS_MAX);
		memory_store_reset(&scene.store, scene.file.data, scene.file.len);
		scene.store.fail_at = n;
		scene.store.fail_from_then_on = _i % 2 != 0;
		scene.store.error = EIO;
		status = carry_out(&scene, plan, &fault);
		states[status == BLOCKZ_OK ? BLOCKZ_IMAGE_UPDATED : fault.state]++;
		if (status == BLOCKZ_OK)
			fault.state = BLOCKZ_IMAGE_UPDATED;
		check_state(&scene, &fault, new);
	}
	ck_assert_uint_gt(states[BLOCKZ_IMAGE_UNCHANGED], 0);
	ck_assert_uint_gt(states[BLOCKZ_IMAGE_NEEDS_RECOVERY], 0);
	ck_assert_int_eq(states[BLOCKZ_IMAGE_ROLLED_BACK] > 0, _i % 2 == 0);
	blockz_plan_free(plan);
	scene_free(&scene);
}
END_TEST

/* Each byte of the scratch, when it is not what was planned: nothing of it reaches the file. */
START_TEST(a_scratch_that_changes_is_found)
{
	static const enum blockz_way ways[] = { BLOCKZ_WAY_IN_PLACE, BLOCKZ_WAY_SPLICE };
	struct scene scene;
	scene_init(&scene, format_of(_i));
	for (size_t i = 0; i < 2; i++) {
		struct blockz_plan *plan = NULL;
		scene_reset(&scene);
		ck_assert_int_eq(scene_plan(&scene, ways[i], &plan, NULL), BLOCKZ_OK);
		for (int round = 0; round < 50; round++) {
			struct blockz_fault fault = { .text = "" };
			uint8_t *byte = scene.scratch_room.bytes + rnd_below(scene.scratch_room.len);
			*byte ^= 0x10;
			memory_store_reset(&scene.store, scene.file.data, scene.file.len);
			ck_assert_int_eq(carry_out(&scene, plan, &fault), BLOCKZ_FAILED);
			ck_assert_msg(strstr(fault.text, "changed while it was being read") != NULL, "%s", fault.text);
			assert_bytes(store_bytes(&scene), scene.file);
			ck_assert(!memory_store_has_journal(&scene.store));
			*byte ^= 0x10;
		}
		blockz_plan_free(plan);
	}
	scene_free(&scene);
}
END_TEST

/* ---- What is written ---- */

/* How many bytes of [start, end) of the file the writes of one kind name; none of them lies partly in it. */
static uint64_t written_in(const struct blockz_plan *plan, enum blockz_written kind, uint64_t start, uint64_t end)
{
	struct blockz_planned_write write;
	uint64_t sum = 0;
	for (size_t i = 0; blockz_plan_write_at(plan, i, &write); i++) {
		bool lies_in = write.file_off >= start && write.file_off + write.length <= end;
		ck_assert(lies_in || write.file_off >= end || write.file_off + write.length <= start);
		if (lies_in && write.kind == kind)
			sum += write.length;
	}
	return sum;
}

static bool is_edited(const struct scene *scene, const struct piece *piece, uint64_t end)
{
	return memcmp(scene->image.data + piece->start, scene->edited.data + piece->start, (size_t)(end - piece->start)) != 0;
}

/* Compressed pieces that differ are written whole, from their first byte to their last, and of others nothing is. */
static void check_pieces(const struct scene *scene, const struct blockz_plan *plan)
{
	uint64_t sum = 0, renewed = 0;
	for (size_t i = 0; i < scene->map->piece_count; i++) {
		const struct piece *piece = &scene->map->pieces[i];
		uint64_t end = piece->file_off + piece->file_len;
		bool is_renewed = piece->kind != BLOCKZ_RAW && is_edited(scene, piece, map_piece_end(scene->map, i));
		uint64_t bytes = written_in(plan, BLOCKZ_WRITTEN_PIECE, piece->file_off, end);
		ck_assert_uint_eq(bytes, is_renewed ? piece->file_len : 0);
		ck_assert_uint_eq(written_in(plan, BLOCKZ_WRITTEN_INDEX, piece->file_off, end), 0);
		sum += bytes;
		renewed += is_renewed;
	}
	ck_assert_uint_eq(written_in(plan, BLOCKZ_WRITTEN_PIECE, 0, scene->file.len), sum);
	ck_assert_uint_eq(blockz_plan_info(plan).renewed.pieces, renewed);
	ck_assert_uint_gt(renewed, 1);
}

/* The field of each check that is written is one of the map's, whole or a part of it. */
static void check_fields(const struct scene *scene, const struct blockz_plan *plan)
{
	struct blockz_planned_write write;
	for (size_t i = 0; blockz_plan_write_at(plan, i, &write); i++) {
		bool found = write.kind != BLOCKZ_WRITTEN_CHECK;
		for (size_t j = 0; j < scene->map->check_count && !found; j++) {
			const struct check *check = &scene->map->checks[j];
			found = write.file_off >= check->field_off &&
				write.file_off + write.length <= check->field_off + check_methods[check->method].len;
		}
		ck_assert_msg(found, "write %zu at %ju is of no check", i, (uintmax_t)write.file_off);
	}
}

/* A store sees exactly the planned writes, each once, and one sync. */
static void check_record(const struct scene *scene, const struct blockz_plan *plan)
{
	struct plain_store plain = { .bytes = bytes_copy(scene->file) };
	const struct blockz_store store = plain_store(&plain);
	struct blockz_planned_write write;
	size_t count = 0;
	ck_assert_int_eq(blockz_plan_apply(plan, &store, NULL), BLOCKZ_OK);
	for (; blockz_plan_write_at(plan, count, &write); count++) {
		ck_assert_uint_lt(count, plain.log_count);
		ck_assert_uint_eq(write.file_off, plain.log[count].off);
		ck_assert_uint_eq(write.length, plain.log[count].len);
		ck_assert_uint_eq(write.length, write.new_length);
	}
	ck_assert_uint_eq(count, plain.log_count);
	ck_assert_uint_eq(plain.syncs, 1);
	assert_decodes(scene->format->name, plain.bytes, scene->edited);
}

START_TEST(whole_pieces_checks_and_the_index_are_written)
{
	static const enum blockz_way ways[] = { BLOCKZ_WAY_IN_PLACE, BLOCKZ_WAY_SPLICE };
	struct scene scene;
	scene_init(&scene, format_of(_i));
	for (size_t i = 0; i < 2; i++) {
		struct blockz_plan *plan = NULL;
		scene_reset(&scene);
		ck_assert_int_eq(scene_plan(&scene, ways[i], &plan, NULL), BLOCKZ_OK);
		ck_assert_int_eq(blockz_plan_info(plan).is_splice, ways[i] == BLOCKZ_WAY_SPLICE);
		check_pieces(&scene, plan);
		check_fields(&scene, plan);
		if (ways[i] == BLOCKZ_WAY_IN_PLACE)
			check_record(&scene, plan);
		blockz_plan_free(plan);
	}
	scene_free(&scene);
}
END_TEST

int main(void)
{
	TCase *c = case_new("anywhere_failures");
	case_add_formats(c, each_call_fails);
	tcase_add_loop_test(c, each_step_of_the_store_fails, 0, 6);
	case_add_formats(c, a_scratch_that_changes_is_found);
	case_add_formats(c, whole_pieces_checks_and_the_index_are_written);
	return case_run("anywhere_failures", c);
}
