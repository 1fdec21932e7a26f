/* SPDX-License-Identifier: BSD-3-Clause */
/* Each allocation of each operation on deltas fails in turn, alone and with all that follow. */
#include <libdeflate.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "blockz_delta.h"
#include "files.h"
#include "images.h"
#include "short_memory.h"

enum { LEN = 20 * KIB, PIECE = 64 * KIB, ROOM = MIB };

/* ---- What is worked on ---- */

/* A pair of images of one kind; both hold blocks that are equal, blocks that changed and new ones. */
static const struct kind {
	const char *name;
	bool is_squashfs; /* or one of blockz's formats, or plain bytes */
} kinds[] = {
	{ "plain", false }, { "gzip", false }, { "xz", false }, { "zstd", false },
	{ "gzip", true }, { "lzma", true }, { "xz", true }, { "zstd", true }, { "lz4", true },
};

enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };

static const struct blockz_merge_options serial = { .work = { .threads = 1 } };
static struct pair {
	struct bytes old, new, delta;
} pairs[KINDS];
static struct blockz_source old_source, new_source, delta_source;
static const struct pair *pair;
static struct fixed_sink sink;
static struct blockz_proved_blocks *proved;

/* Some bytes changed, some put in. */
static struct bytes edited(struct bytes image)
{
	struct bytes all = bytes_join(bytes_join((struct bytes){ image.data, image.len / 2 }, image_new(IMAGE_TEXT, 77)),
				      (struct bytes){ image.data + image.len / 2, image.len - image.len / 2 });
	for (size_t i = 1; i < 5; i++)
		all.data[i * all.len / 6] ^= 1;
	return all;
}

static struct bytes squashfs_of(const char *codec, struct bytes content)
{
	char command[128];
	snprintf(command, sizeof(command), "mksquashfs tree image -comp %s -b 8K -quiet -no-progress", codec);
	return image_by(command, content);
}

static struct bytes image_of(const struct kind *kind, struct bytes content)
{
	const struct blockz_pack_options options = { .level = 2, .piece_size = PIECE };
	if (kind->is_squashfs)
		return squashfs_of(kind->name, content);
	return strcmp(kind->name, "plain") == 0 ? content
						 : pack_image(format_named(kind->name), content, options, NULL);
}

static void use(const struct pair *chosen)
{
	pair = chosen;
	old_source = bytes_source(pair->old);
	new_source = bytes_source(pair->new);
	delta_source = bytes_source(pair->delta);
	sink = (struct fixed_sink){ .room = bytes_new(ROOM) };
}

static enum blockz_status run_delta(struct blockz_fault *fault)
{
	const struct blockz_delta_options options = { .apply_budget_ms = 1000000, .proved = proved, .work = serial.work };
	struct blockz_delta_result result;
	struct blockz_sink out = fixed_sink(&sink);
	return blockz_delta(&old_source, &new_source, &out, &options, &result, fault);
}

/* Once, before the tests. */
static void make_pairs(void)
{
	struct blockz_fault fault;
	remember_ways();
	proved = blockz_proved_blocks_new();
	ck_assert_ptr_nonnull(proved);
	for (size_t i = 0; i < KINDS; i++) {
		/* Pieces have a least size. */
		struct bytes content = kinds[i].is_squashfs ? image_new(IMAGE_TEXT, LEN) : image_new(IMAGE_LINES, 2 * PIECE);
		pairs[i] = (struct pair){ image_of(&kinds[i], content), image_of(&kinds[i], edited(content)), { 0 } };
		use(&pairs[i]);
		ck_assert_msg(run_delta(&fault) == BLOCKZ_OK, "%s", fault.text);
		pairs[i].delta = bytes_copy((struct bytes){ sink.room.data, sink.len });
	}
}

static void free_proved(void)
{
	blockz_proved_blocks_free(proved);
}

/* ---- Operations, and whether they have done what they say ---- */

static void empty_sink(void)
{
	sink.len = 0;
}

static bool sink_has_the_delta(void)
{
	return sink.len == pair->delta.len && memcmp(sink.room.data, pair->delta.data, sink.len) == 0;
}

static enum blockz_status run_merge(struct blockz_fault *fault)
{
	struct blockz_sink out = fixed_sink(&sink);
	return blockz_merge(&old_source, &delta_source, &out, &serial, fault);
}

static bool sink_has_new(void)
{
	return sink.len == pair->new.len && memcmp(sink.room.data, pair->new.data, sink.len) == 0;
}

static enum blockz_status run_check(struct blockz_fault *fault)
{
	return blockz_merge_check(&old_source, &delta_source, &serial, fault);
}

static enum blockz_status run_info(struct blockz_fault *fault)
{
	struct blockz_delta_info info;
	return blockz_delta_info(&delta_source, &info, fault);
}

static enum blockz_status run_summary(struct blockz_fault *fault)
{
	struct blockz_delta_summary summary;
	return blockz_delta_summary(&delta_source, &summary, fault);
}

static const struct operation operations[] = {
	{ .name = "delta", .prepare = empty_sink, .run = run_delta, .is_right = sink_has_the_delta,
	  .may_succeed = true },
	{ .name = "merge", .prepare = empty_sink, .run = run_merge, .is_right = sink_has_new },
	{ .name = "merge check", .prepare = empty_sink, .run = run_check },
	{ .name = "delta info", .prepare = empty_sink, .run = run_info },
	{ .name = "delta summary", .prepare = empty_sink, .run = run_summary },
};

enum { OPERATIONS = sizeof(operations) / sizeof(operations[0]) };

START_TEST(each_allocation_fails)
{
	const struct kind *kind = &kinds[_i / 2 / OPERATIONS];
	char with[64];
	snprintf(with, sizeof(with), "%s%s", kind->is_squashfs ? "squashfs " : "", kind->name);
	libdeflate_set_memory_allocator(malloc, free);
	use(&pairs[kind - kinds]);
	fail_allocations(&operations[_i / 2 % OPERATIONS], with, _i % 2 != 0);
}
END_TEST

/* ---- Encoders: all would take seconds ---- */

enum { ENCODERS = 20 };

static size_t encoder_count;

static bool count(void *ctx, const struct blockz_encoder *encoder)
{
	(void)ctx;
	(void)encoder;
	return ++encoder_count < ENCODERS;
}

static void no_encoders(void)
{
	encoder_count = 0;
}

static enum blockz_status run_encoders(struct blockz_fault *fault)
{
	return blockz_encoders(NULL, count, NULL, &serial.work, fault);
}

static bool encoders_are_enough(void)
{
	return encoder_count == ENCODERS;
}

START_TEST(each_encoder_fails)
{
	static const struct operation encoders = {
		.name = "encoders", .prepare = no_encoders, .run = run_encoders, .is_right = encoders_are_enough,
	};
	libdeflate_set_memory_allocator(malloc, free);
	fail_allocations(&encoders, "probe", _i != 0);
}
END_TEST

int main(void)
{
	TCase *c = case_new("nomem_delta");
	tcase_add_unchecked_fixture(c, make_pairs, free_proved);
	tcase_add_loop_test(c, each_allocation_fails, 0, 2 * OPERATIONS * KINDS);
	tcase_add_loop_test(c, each_encoder_fails, 0, 2);
	return case_run("nomem_delta", c);
}
