/* SPDX-License-Identifier: BSD-3-Clause */
/* Deltas made by hand, applied. */
#include <malloc.h>
#include <string.h>

#include "base/checked.h"
#include "blockz_delta.h"
#include "delta/file/old_space.h"
#include "random.h"
#include "scenes.h"

START_TEST(all_ops_on_any_number_of_threads)
{
	for (int round = 0; round < (few_rounds ? 2 : 6); round++) {
		struct scene *scene = scene_random(rnd_below(30), rnd_below(4), 12, round % 2 == 0 ? 300 : 5000);
		assert_merges(scene, 1);
		assert_merges(scene, 2);
		assert_merges(scene, 8);
	}
}
END_TEST

/* Longer than what is made at once. */
START_TEST(long_ops)
{
	struct scene *scene = scene_new(25);
	uint64_t middle = scene->head.old_size, behind = scene->space.len - middle;
	scene_verbatim(scene, scene_op(scene, OP_COPY, middle, (size_t)behind));
	scene_verbatim(scene, scene_op(scene, OP_ADD, 0, (size_t)middle));
	scene_verbatim(scene, scene_op(scene, OP_ADD, middle, (size_t)behind));
	scene_verbatim(scene, scene_op(scene, OP_EXTRA, 0, 300000));
	struct bytes first = scene_op(scene, OP_COPY, middle + 5, (size_t)behind - 5);
	scene_block(scene, 1, bytes_join(first, scene_op(scene, OP_PACKED, 0, 100000)));
	struct section section = scene_cut(scene);
	scene_finish(scene, &section, 1);
	assert_merges(scene, 1);
	assert_merges(scene, 2);
	assert_merges(scene, 8);
}
END_TEST

/* More than a part holds at a time. */
START_TEST(ops_of_one_byte)
{
	struct scene *scene = scene_new(4);
	struct bytes made = bytes_new(9000);
	scene->section.ops = keep(made.len * sizeof(struct op));
	for (size_t i = 0; i < made.len; i++) {
		uint64_t off = rnd_below(scene->space.len);
		scene->section.ops[i] = (struct op){ .len = 1, .old_off = off, .kind = i % 2 == 0 ? OP_COPY : OP_ADD };
		made.data[i] = (uint8_t)(scene->space.data[off] + (i % 2 == 0 ? 0 : 7));
	}
	scene->section.op_count = scene->section.stream_len = made.len;
	scene->section.diff_len = made.len / 2;
	scene->section.diff = bytes_new(made.len / 2).data;
	memset(scene->section.diff, 7, made.len / 2);
	scene_block(scene, 0, made);
	struct section section = scene_cut(scene);
	scene_finish(scene, &section, 1);
	assert_merges(scene, 1);
	assert_merges(scene, 8);
}
END_TEST

static uint64_t block_place(const struct scene *scene, size_t block)
{
	uint64_t place = scene->head.old_size;
	for (size_t i = 0; i < block; i++)
		place += scene->old_blocks.items[i].plain_len;
	return place;
}

/* The reads of OLD beside those for its digest. */
static unsigned count_decodes(const struct scene *scene)
{
	struct flaky_source self = { .bytes = scene->old };
	struct blockz_source old = flaky_source(&self), delta = bytes_source(scene->delta);
	struct blockz_merge_options options = { .work = { .threads = 1 } };
	ck_assert_int_eq(blockz_merge_check(&old, &delta, &options, NULL), BLOCKZ_OK);
	unsigned for_digest = self.reads;
	self.reads = 0;
	ck_assert_int_eq(blockz_merge(&old, &delta, NULL, &options, NULL), BLOCKZ_OK);
	return self.reads - for_digest;
}

/*
 * Parts that go around OLD's blocks, more than are kept: two jobs of 8, each of which has the blocks decoded once, and uses
 * what is there first.
 */
START_TEST(blocks_are_decoded_once_for_a_job)
{
	enum { LEN = 1 << 20, COUNT = CLIENT_CACHE / LEN + 4, ROUNDS = 2 };
	struct scene *scene = scene_of(COUNT, LEN);
	for (unsigned part = 0; part < 2 * 8; part++) {
		struct bytes made = { 0 };
		for (unsigned i = 0; i < ROUNDS * COUNT; i++) {
			uint64_t off = block_place(scene, i % COUNT) + rnd_below(LEN / 2);
			made = bytes_join(made, scene_op(scene, i % 2 == 0 ? OP_COPY : OP_ADD, off, 100));
		}
		scene_block(scene, part % 2, made);
	}
	struct section section = scene_cut(scene);
	scene_finish(scene, &section, 1);
	assert_merges(scene, 2);
	unsigned decodes = count_decodes(scene);
	ck_assert_uint_ge(decodes, COUNT + 4);
	ck_assert_uint_lt(decodes, COUNT + COUNT / 2);
}
END_TEST

/* A part so long that more goes around OLD's blocks than waits in a job of short ones. */
START_TEST(blocks_are_decoded_once_for_a_long_part)
{
	enum { LEN = 1 << 20, COUNT = CLIENT_CACHE / LEN + 4, FETCHES = 4400, FETCH = 400 };
	struct scene *scene = scene_of(COUNT, LEN);
	struct bytes made = bytes_new(FETCHES * FETCH);
	for (size_t i = 0; i < FETCHES; i++) {
		struct bytes bytes = scene_op(scene, OP_COPY, block_place(scene, i % COUNT) + rnd_below(LEN / 2), FETCH);
		memcpy(made.data + i * FETCH, bytes.data, FETCH);
	}
	scene_block(scene, STORED, made);
	struct section section = scene_cut(scene);
	scene_finish(scene, &section, 1);
	ck_assert_uint_eq(count_decodes(scene), COUNT);
}
END_TEST

static size_t allocated(void)
{
	struct mallinfo2 info = mallinfo2();
	return info.uordblks + info.hblkhd;
}

static bool note_memory(void *ctx, uint64_t image_done, uint64_t file_done)
{
	size_t *most = ctx, now = allocated();
	(void)image_done, (void)file_done;
	*most = *most > now ? *most : now;
	return true;
}

/* Each job has one long part, and each time another of its parts is that. */
START_TEST(long_parts_do_not_pile_up)
{
	enum { PARTS = 8, LONG = 5 * MIB / 2, MOST = 32 * MIB };
	struct scene *scene = scene_of(3, MIB);
	uint64_t middle = scene->head.old_size;
	for (unsigned job = 0; job < PARTS; job++)
		for (unsigned part = 0; part < PARTS; part++)
			scene_block(scene, STORED, scene_op(scene, OP_COPY, middle, part == job ? LONG : 1000));
	struct section section = scene_cut(scene);
	scene_finish(scene, &section, 1);
	size_t before = allocated(), most = 0;
	struct blockz_source old = bytes_source(scene->old), delta = bytes_source(scene->delta);
	struct blockz_merge_options options = { .work = { 1, note_memory, &most } };
	ck_assert_int_eq(blockz_merge(&old, &delta, NULL, &options, NULL), BLOCKZ_OK);
	ck_assert_uint_gt(most, 0);
	ck_assert_uint_lt(most - before, MOST);
}
END_TEST

START_TEST(nothing_from_nothing)
{
	struct scene *scene = scene_new(0);
	scene_finish(scene, NULL, 0);
	ck_assert_uint_eq(scene->new.len, 0);
	assert_merges(scene, 1);
	assert_merges(scene, 8);
}
END_TEST

START_TEST(to_nowhere)
{
	struct scene *scene = scene_random(6, 2, 8, 1000);
	struct blockz_source old = bytes_source(scene->old), delta = bytes_source(scene->delta);
	struct blockz_merge_options options = { .work = { .threads = 2 } };
	ck_assert_int_eq(blockz_merge(&old, &delta, NULL, &options, NULL), BLOCKZ_OK);
	ck_assert_int_eq(blockz_merge_check(&old, &delta, &options, NULL), BLOCKZ_OK);
	scene->old.data[0] ^= 1;
	ck_assert_int_eq(blockz_merge(&old, &delta, NULL, &options, NULL), BLOCKZ_DAMAGED);
	ck_assert_int_eq(blockz_merge_check(&old, &delta, &options, NULL), BLOCKZ_DAMAGED);
}
END_TEST

/* A stream, that insists on being read as one. */
struct stream_source {
	struct bytes bytes;
	uint64_t off;
};

static int stream_read(void *ctx, void *buf, size_t len, uint64_t off, size_t *got_ret)
{
	struct stream_source *self = ctx;
	ck_assert_uint_eq(off, self->off);
	*got_ret = (size_t)min(len, self->bytes.len - off);
	memcpy(buf, self->bytes.data + off, *got_ret);
	self->off += *got_ret;
	return 0;
}

START_TEST(a_delta_through_a_pipe)
{
	static const struct blockz_source_ops ops = { .read = stream_read };
	struct scene *scene = scene_random(10, 3, 20, 4000);
	struct blockz_fault fault;
	for (unsigned threads = 1; threads <= 2; threads++) {
		struct stream_source stream = { .bytes = scene->delta };
		struct blockz_source source = { &ops, &stream, BLOCKZ_UNKNOWN };
		struct growing_sink sink = { .calls = 0 };
		enum blockz_status status = merge(bytes_source(scene->old), source, &sink,
						  (struct blockz_work){ .threads = threads }, &fault);
		ck_assert_msg(status == BLOCKZ_OK, "%s", fault.text);
		assert_bytes(sink.bytes, scene->new);
	}
	struct stream_source stream = { .bytes = scene->old };
	struct growing_sink sink = { .calls = 0 };
	ck_assert_int_eq(merge((struct blockz_source){ &ops, &stream, BLOCKZ_UNKNOWN }, bytes_source(scene->delta), &sink,
			       (struct blockz_work){ .threads = 1 }, &fault), BLOCKZ_USAGE);
}
END_TEST

/* A client that looks first reads no more of a pipe than the head. */
START_TEST(what_a_delta_says)
{
	static const struct blockz_source_ops ops = { .read = stream_read };
	struct scene *scene = scene_random(10, 3, 10, 4000);
	struct stream_source stream = { .bytes = scene->delta };
	struct blockz_source source = { &ops, &stream, BLOCKZ_UNKNOWN };
	struct blockz_delta_info info;
	ck_assert_int_eq(blockz_delta_info(&source, &info, NULL), BLOCKZ_OK);
	ck_assert_uint_le(stream.off, DELTA_HEAD_MAX);
	ck_assert(info.old_size == scene->head.old_size && info.new_size == scene->new.len);
	ck_assert_mem_eq(info.new_sha256, scene->head.new_sha256, 32);
	ck_assert_str_eq(info.old_container, "by hand");
	ck_assert_uint_eq(info.encoder_count, ENCODERS);
	ck_assert_str_eq(info.encoders[1].name, "zstd level=5");

	struct blockz_delta_summary summary;
	stream.off = 0;
	ck_assert_int_eq(blockz_delta_summary(&source, &summary, NULL), BLOCKZ_OK);
	ck_assert_uint_eq(summary.delta_size, scene->delta.len);
	ck_assert_uint_eq(summary.sections, 3);
	ck_assert_uint_eq(summary.old_blocks, 10);
	uint64_t coded = 0, verbatim = scene->new.len - summary.blocks_coded;
	for (size_t i = 0; i < summary.part_count; i++)
		coded += summary.parts[i].coded;
	ck_assert(coded > 0 && coded < summary.delta_size);
	ck_assert_uint_eq(summary.copy.bytes + summary.add.bytes + summary.extra.bytes + summary.packed.bytes,
			  summary.blocks_plain + verbatim);
}
END_TEST

int main(void)
{
	TCase *tcase = case_new("merge");
	tcase_add_test(tcase, all_ops_on_any_number_of_threads);
	tcase_add_test(tcase, long_ops);
	tcase_add_test(tcase, ops_of_one_byte);
	tcase_add_test(tcase, blocks_are_decoded_once_for_a_job);
	tcase_add_test(tcase, blocks_are_decoded_once_for_a_long_part);
	if (!sanitized) /* whose memory is not the C library's */
		tcase_add_test(tcase, long_parts_do_not_pile_up);
	tcase_add_test(tcase, nothing_from_nothing);
	tcase_add_test(tcase, to_nowhere);
	tcase_add_test(tcase, a_delta_through_a_pipe);
	tcase_add_test(tcase, what_a_delta_says);
	return case_run("merge", tcase);
}
