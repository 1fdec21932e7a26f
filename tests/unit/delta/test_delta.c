/* SPDX-License-Identifier: BSD-3-Clause */
/* Deltas made from images, and applied. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "blockz_delta.h"
#include "delta/make/coverage.h"
#include "delta/make/windows.h"
#include "images.h"
#include "memory.h"
#include "random.h"

/* ---- Making and applying ---- */

static struct bytes make_delta(struct bytes old, struct bytes new, const struct blockz_delta_options *options,
			       struct blockz_delta_result *result)
{
	struct growing_sink sink = { 0 };
	struct blockz_sink out = growing_sink(&sink);
	struct blockz_source sources[2] = { bytes_source(old), bytes_source(new) };
	struct blockz_fault fault = { 0 };
	enum blockz_status status = blockz_delta(&sources[0], &sources[1], &out, options, result, &fault);
	ck_assert_msg(status == BLOCKZ_OK, "%s", fault.text);
	ck_assert_uint_eq(result->delta_size, sink.bytes.len);
	ck_assert_uint_eq(result->blocks, result->blocks_equal + result->blocks_encoded + result->blocks_stored +
						  result->blocks_packed);
	return sink.bytes;
}

static struct bytes apply(struct bytes old, struct bytes delta)
{
	struct growing_sink sink = { 0 };
	struct blockz_sink out = growing_sink(&sink);
	struct blockz_source sources[2] = { bytes_source(old), bytes_source(delta) };
	struct blockz_merge_options options = { .work = { .threads = 2 } };
	struct blockz_fault fault = { 0 };
	enum blockz_status status = blockz_merge(&sources[0], &sources[1], &out, &options, &fault);
	ck_assert_msg(status == BLOCKZ_OK, "%s", fault.text);
	return sink.bytes;
}

/* A delta by one thread and by many is the same, and makes NEW. */
static struct bytes round_trip(struct bytes old, struct bytes new, struct blockz_delta_options options,
			       struct blockz_delta_result *result)
{
	options.work.threads = 1;
	struct bytes delta = make_delta(old, new, &options, result);
	options.work.threads = 8;
	assert_bytes(make_delta(old, new, &options, result), delta);
	assert_bytes(apply(old, delta), new);
	return delta;
}

/* Applies a delta with what was proved as it was made. */
static enum blockz_status apply_proved(struct bytes old, struct bytes delta, const struct blockz_proved_blocks *proved,
				       struct bytes *made)
{
	struct growing_sink sink = { 0 };
	struct blockz_sink out = growing_sink(&sink);
	struct blockz_source sources[2] = { bytes_source(old), bytes_source(delta) };
	struct blockz_merge_options options = { .proved = proved, .work = { .threads = 2 } };
	enum blockz_status status = blockz_merge(&sources[0], &sources[1], &out, &options, NULL);
	*made = sink.bytes;
	return status;
}

/* ---- Images ---- */

static struct bytes compress(const struct blockz_format *format, struct bytes image)
{
	struct growing_sink sink = { 0 };
	struct blockz_sink out = growing_sink_rewritable(&sink);
	struct blockz_source source = bytes_source(image);
	struct blockz_pack_options options = { .level = 2, .format = format->name, .piece_size = 256 * KIB };
	struct blockz_pack_result result;
	struct blockz_fault fault = { 0 };
	if (format->piece_size_min > options.piece_size)
		options.piece_size = format->piece_size_min;
	enum blockz_status status = blockz_pack(&source, &out, &options, &result, &fault);
	ck_assert_msg(status == BLOCKZ_OK, "%s", fault.text);
	return sink.bytes;
}

/* Small changes here and there, and some bytes put in. */
static struct bytes edited(struct bytes image)
{
	struct bytes head = bytes_copy((struct bytes){ image.data, image.len / 3 });
	struct bytes more = image_new(IMAGE_TEXT, 777);
	struct bytes tail = bytes_copy((struct bytes){ image.data + head.len, image.len - head.len });
	struct bytes all = bytes_join(bytes_join(head, more), tail);
	for (size_t i = 0; i < all.len / (64 * KIB); i++)
		all.data[rnd_below(all.len)] ^= (uint8_t)(1 + rnd_below(255));
	return all;
}

/* ---- Tests ---- */

START_TEST(test_compressed)
{
	struct bytes image = image_new(IMAGE_TEXT, 1280 * KIB), changed = edited(image);
	struct bytes old = compress(format_of(_i), image), new = compress(format_of(_i), changed);
	struct blockz_delta_options options = { 0 };
	struct blockz_delta_result result;
	struct bytes delta = round_trip(old, new, options, &result);
	ck_assert_uint_gt(result.blocks_encoded, 3);
	ck_assert_uint_eq(result.blocks_unproved, 0);
	ck_assert_uint_eq(result.windows, 1);
	options.portable = true;
	struct bytes portable = round_trip(old, new, options, &result);
	ck_assert_uint_eq(result.blocks_encoded, 0);
	ck_assert_msg(delta.len * 4 < portable.len, "%zu bytes, %zu if portable", delta.len, portable.len);
}
END_TEST

/* What was proved is read from NEW, and only there where the same content comes out. */
START_TEST(test_proved)
{
	struct bytes image = image_new(IMAGE_TEXT, 1280 * KIB), changed = edited(image), other = bytes_copy(changed), made;
	other.data[other.len / 2] ^= 1;
	struct bytes old = compress(format_of(_i), image), new = compress(format_of(_i), changed);
	struct bytes newer = compress(format_of(_i), other);
	struct blockz_proved_blocks *proved = blockz_proved_blocks_new();
	struct blockz_delta_options options = { .proved = proved };
	struct blockz_delta_result result;
	struct bytes delta_of_newer = make_delta(old, newer, &options, &result);
	assert_bytes(make_delta(old, newer, &options, &result), delta_of_newer);
	struct bytes delta = make_delta(old, new, &options, &result);
	ck_assert_uint_gt(result.blocks_encoded, 3);
	ck_assert_int_eq(apply_proved(old, delta, proved, &made), BLOCKZ_OK);
	assert_bytes(made, new);
	/* Of another delta, which has one block that is not the same. */
	ck_assert_int_eq(apply_proved(old, delta_of_newer, proved, &made), BLOCKZ_OK);
	assert_bytes(made, newer);
	/* Blocks that have the content are not encoded, but read. */
	memset(new.data + new.len / 4, 0, new.len / 2);
	ck_assert_int_eq(apply_proved(old, delta, proved, &made), BLOCKZ_DAMAGED);
	blockz_proved_blocks_free(proved);
}
END_TEST

/* The encoders of all clients, one of them of another version at one of them. */
static bool collect(void *ctx, const struct blockz_encoder *encoder)
{
	struct blockz_delta_options *options = ctx;
	struct blockz_encoder *encoders = keep((options->encoder_count + 1) * sizeof(*encoders));
	if (options->encoder_count > 0)
		memcpy(encoders, options->encoders, options->encoder_count * sizeof(*encoders));
	encoders[options->encoder_count++] = *encoder;
	options->encoders = encoders;
	return true;
}

START_TEST(test_clients)
{
	struct bytes image = image_new(IMAGE_TEXT, 768 * KIB), changed = edited(image);
	const struct blockz_format *zstd = format_named("zstd");
	struct bytes old = compress(zstd, image), new = compress(zstd, changed);
	struct blockz_delta_options options = { .restricted = true };
	struct blockz_delta_result result;
	round_trip(old, new, options, &result);
	ck_assert_uint_eq(result.blocks_encoded, 0);

	struct blockz_delta_info info;
	struct blockz_delta_options free_options = { 0 };
	struct bytes delta = make_delta(old, new, &free_options, &result);
	struct blockz_source source = bytes_source(delta);
	ck_assert_int_eq(blockz_delta_info(&source, &info, NULL), BLOCKZ_OK);
	ck_assert_uint_eq(info.encoder_count, 1);
	collect(&options, &info.encoders[0]);
	assert_bytes(round_trip(old, new, options, &result), delta);
	struct blockz_encoder other = info.encoders[0];
	other.fingerprint[3] ^= 1;
	options.encoders = &other;
	round_trip(old, new, options, &result);
	ck_assert_uint_eq(result.blocks_encoded, 0);
}
END_TEST

START_TEST(test_budget)
{
	struct bytes image = image_new(IMAGE_TEXT, MIB), changed = edited(image);
	const struct blockz_format *xz = format_named("xz");
	struct bytes old = compress(xz, image), new = compress(xz, changed);
	struct blockz_delta_options options = { 0 };
	struct blockz_delta_result all, some;
	make_delta(old, new, &options, &all);
	ck_assert_uint_gt(all.encode_ms, 1);
	options.apply_budget_ms = all.encode_ms / 2;
	struct bytes delta = make_delta(old, new, &options, &some);
	ck_assert_uint_lt(some.blocks_encoded, all.blocks_encoded);
	ck_assert_uint_le(some.encode_ms, options.apply_budget_ms);
	ck_assert_uint_gt(some.delta_size, all.delta_size);
	assert_bytes(apply(old, delta), new);
}
END_TEST

static double share_of(struct bytes old, struct bytes piece)
{
	struct coverage *coverage = coverage_new(old.len);
	ck_assert_ptr_nonnull(coverage);
	coverage_add(coverage, old.data, old.len);
	double share = coverage_of(coverage, piece.data, piece.len);
	coverage_free(coverage);
	return share;
}

/*
 * Every other piece has so little of OLD, a twelfth, that it is compared with OLD, and yet is packed because its differences
 * cost more than nine tenths of what it takes itself.
 */
START_TEST(test_demoted)
{
	enum { PIECES = 4, PIECE = 256 * KIB };
	struct bytes image = image_new(IMAGE_NOISE, PIECES * PIECE), changed;
	for (size_t i = 0; i < image.len; i++)
		image.data[i] &= 0x7f;
	changed = bytes_copy(image);
	for (size_t i = 0; i < PIECES; i++) {
		struct bytes piece = { changed.data + i * PIECE, PIECE };
		for (size_t j = i % 2 == 0 ? PIECE - 10 : PIECE / 12; j < PIECE; j++)
			piece.data[j] = (uint8_t)rnd_below(128);
		ck_assert_double_gt(share_of(image, piece), 1.0 / 16);
	}
	struct bytes old = compress(format_named("gzip"), image), new = compress(format_named("gzip"), changed);
	struct blockz_delta_options options = { 0 };
	struct blockz_delta_result result;
	round_trip(old, new, options, &result);
	ck_assert_uint_eq(result.blocks_encoded, PIECES / 2);
	ck_assert_uint_eq(result.blocks_packed, PIECES / 2);
	ck_assert_uint_eq(result.blocks_unproved, 0);
}
END_TEST

START_TEST(test_plain)
{
	struct bytes old = image_new(IMAGE_DISK, 3 * MIB / 2), new = edited(old);
	const struct bytes none = { 0 };
	struct blockz_delta_options options = { 0 };
	struct blockz_delta_result result;
	struct bytes delta = round_trip(old, new, options, &result);
	ck_assert_uint_lt(delta.len, 64 * KIB);
	ck_assert_uint_lt(round_trip(old, old, options, &result).len, 512);
	round_trip(none, none, options, &result);
	round_trip(old, none, options, &result);
	round_trip(none, new, options, &result);
}
END_TEST

/* Tries to make a delta, and returns the least memory that the refusal asks for. */
static uint64_t refused(struct bytes old, struct bytes new, uint64_t memory)
{
	struct growing_sink sink = { 0 };
	struct blockz_sink out = growing_sink(&sink);
	struct blockz_source sources[2] = { bytes_source(old), bytes_source(new) };
	struct blockz_delta_options options = { .memory = memory };
	struct blockz_delta_result result;
	struct blockz_fault fault = { 0 };
	char begin[64];
	ck_assert_int_eq(blockz_delta(&sources[0], &sources[1], &out, &options, &result, &fault), BLOCKZ_LIMIT);
	snprintf(begin, sizeof(begin), "memory of %" PRIu64 " bytes is too little", memory);
	ck_assert_msg(strncmp(fault.text, begin, strlen(begin)) == 0, "%s", fault.text);
	ck_assert_uint_eq(sink.bytes.len, 0);
	const char *least = strstr(fault.text, "at least ");
	ck_assert_msg(least != NULL, "%s", fault.text);
	return strtoull(least + strlen("at least "), NULL, 10);
}

/* None of whose blocks OLD has. */
static struct bytes part_of(struct bytes old)
{
	struct bytes part = { old.data + 2 * MIB + 1, MIB };
	return edited(part);
}

START_TEST(test_windows)
{
	struct bytes old = image_new(IMAGE_NOISE, 6 * MIB), new = part_of(old);
	struct blockz_delta_options options = { 0 };
	struct blockz_delta_result result;
	struct bytes whole = make_delta(old, new, &options, &result);
	ck_assert_uint_eq(result.windows, 1);
	ck_assert_uint_ge(result.memory, result.memory_wanted);
	uint64_t enough = result.memory_wanted;
	options.memory = enough - 16 * MIB;
	struct bytes delta = round_trip(old, new, options, &result);
	ck_assert_uint_gt(result.windows, 1);
	ck_assert_uint_eq(result.memory, options.memory);
	ck_assert_uint_eq(result.memory_wanted, enough);
	ck_assert_uint_lt(result.window_size, old.len);
	ck_assert_msg(delta.len < whole.len + 4 * KIB, "%zu bytes in %u windows, %zu in one", delta.len, result.windows, whole.len);
	options.memory = enough;
	assert_bytes(round_trip(old, new, options, &result), whole);
	ck_assert_uint_eq(result.windows, 1);
}
END_TEST

/* What only resembles NEW is in another window than what it was made of, and before it: windows are for short runs alone. */
START_TEST(test_windows_of_like_texts)
{
	enum { LEN = 3 * MIB, STEP = 200, FOREIGN = 40 };
	struct bytes right = image_new(IMAGE_NOISE, LEN), like = bytes_copy(right), new = edited(right);
	for (size_t off = 0; off + FOREIGN <= LEN; off += STEP)
		rnd_fill(like.data + off, FOREIGN);
	struct bytes old = bytes_join(like, right);
	struct blockz_delta_options options = { 0 };
	struct blockz_delta_result result;
	struct bytes whole = make_delta(old, new, &options, &result);
	options.memory = result.memory_wanted - 16 * MIB;
	struct bytes delta = round_trip(old, new, options, &result);
	ck_assert_uint_gt(result.windows, 1);
	ck_assert_msg(delta.len < whole.len + 4 * KIB, "%zu bytes in %u windows, %zu in one", delta.len, result.windows, whole.len);
}
END_TEST

/* The memory that a refusal asks for is enough, and one byte less is not. */
START_TEST(test_least_memory)
{
	struct bytes old = image_new(IMAGE_NOISE, 6 * MIB), new = part_of(old);
	struct blockz_delta_options options = { .memory = refused(old, new, MIB) };
	struct blockz_delta_result result;
	ck_assert_uint_eq(refused(old, new, options.memory - 1), options.memory);
	round_trip(old, new, options, &result);
	ck_assert_uint_gt(result.windows, 1);
}
END_TEST

/* A limit that takes threads, sections and cache away, but makes no other windows, changes nothing. */
START_TEST(test_narrow)
{
	struct bytes image = image_new(IMAGE_TEXT, 300 * KIB), changed = edited(image);
	struct bytes old = compress(format_named("zstd"), image), new = compress(format_named("zstd"), changed);
	struct blockz_delta_options options = { .work = { .threads = 8 } };
	struct blockz_delta_result result;
	struct bytes delta = make_delta(old, new, &options, &result);
	ck_assert_uint_eq(result.merge_threads, 8);
	uint64_t least = refused(old, new, MIB);
	options.memory = least > result.memory_wanted ? least : result.memory_wanted;
	assert_bytes(make_delta(old, new, &options, &result), delta);
	ck_assert_uint_eq(result.windows, 1);
	ck_assert_uint_lt(result.merge_threads, 8);
}
END_TEST

/* Each read of OLD, each of NEW and each write fails in turn. */
START_TEST(test_failing)
{
	struct bytes image = image_new(IMAGE_TEXT, 300 * KIB), changed = edited(image);
	struct bytes old = compress(format_named("zstd"), image), new = compress(format_named("zstd"), changed);
	static const enum blockz_subject subjects[] = { BLOCKZ_ABOUT_OLD, BLOCKZ_ABOUT_NEW, BLOCKZ_ABOUT_OUTPUT };
	struct blockz_delta_options options = { .work = { .threads = 2 } };
	for (int which = 0; which < 3; which++) {
		enum blockz_status status = BLOCKZ_FAILED;
		unsigned n = 0;
		while (status != BLOCKZ_OK) {
			struct flaky_source flaky[2] = { { .bytes = old }, { .bytes = new } };
			struct growing_sink sink = { 0 };
			*(which < 2 ? &flaky[which].fail_at : &sink.fail_at) = ++n;
			struct blockz_source sources[2] = { flaky_source(&flaky[0]), flaky_source(&flaky[1]) };
			struct blockz_sink out = growing_sink(&sink);
			struct blockz_delta_result result;
			struct blockz_fault fault = { 0 };
			status = blockz_delta(&sources[0], &sources[1], &out, &options, &result, &fault);
			if (status != BLOCKZ_OK) {
				ck_assert_int_eq(status, BLOCKZ_FAILED);
				ck_assert_msg(strstr(fault.text, strerror(EIO)) != NULL, "%s", fault.text);
				ck_assert_msg(which == 2 || strncmp(fault.text, which == 0 ? "OLD" : "NEW", 3) == 0, "%s",
					      fault.text);
				ck_assert_int_eq(fault.subject, subjects[which]);
			}
		}
		ck_assert_uint_gt(n, 2);
	}
}
END_TEST

struct interruption {
	unsigned calls, stop_at;
	uint64_t size;
};

static bool count_calls(void *ctx, uint64_t image_done, uint64_t file_done)
{
	struct interruption *interruption = ctx;
	ck_assert_uint_le(image_done, interruption->size);
	ck_assert_uint_eq(file_done, 0);
	return ++interruption->calls != interruption->stop_at;
}

START_TEST(test_interrupted)
{
	struct bytes image = image_new(IMAGE_TEXT, 300 * KIB), changed = edited(image);
	struct bytes old = compress(format_named("gzip"), image), new = compress(format_named("gzip"), changed);
	struct blockz_source sources[2] = { bytes_source(old), bytes_source(new) };
	enum blockz_status status = BLOCKZ_FAILED;
	unsigned n = 0;
	while (status != BLOCKZ_OK) {
		n += 1 + n / 4;
		struct interruption interruption = { .stop_at = n, .size = new.len };
		struct blockz_delta_options options = { .work = { 2, count_calls, &interruption } };
		struct growing_sink sink = { 0 };
		struct blockz_sink out = growing_sink(&sink);
		struct blockz_delta_result result;
		struct blockz_fault fault = { 0 };
		status = blockz_delta(&sources[0], &sources[1], &out, &options, &result, &fault);
		if (status != BLOCKZ_OK)
			ck_assert_str_eq(fault.text, "interrupted");
	}
	ck_assert_uint_gt(n, 10);
}
END_TEST

START_TEST(test_coverage)
{
	struct bytes text = image_new(IMAGE_TEXT, MIB), other = bytes_new(MIB);
	struct coverage *coverage = coverage_new(text.len);
	ck_assert_ptr_nonnull(coverage);
	rnd_fill(other.data, other.len);
	coverage_add(coverage, text.data, text.len);
	/* Wherever it starts. */
	ck_assert_double_eq(coverage_of(coverage, text.data + 12345, 128 * KIB), 1);
	ck_assert_double_lt(coverage_of(coverage, other.data, other.len), 1.0 / 16);
	struct bytes mixed = bytes_copy(other);
	memcpy(mixed.data, text.data + 777, MIB / 2);
	double share = coverage_of(coverage, mixed.data, mixed.len);
	ck_assert_msg(share > 0.4 && share < 0.65, "%f", share);
	ck_assert_double_eq(coverage_of(coverage, text.data, 0), 1);
	ck_assert_double_eq(coverage_of(coverage, text.data, 15), 1);
	coverage_free(coverage);
}
END_TEST

START_TEST(test_unknown_size)
{
	struct bytes old = image_new(IMAGE_TEXT, KIB);
	struct growing_sink sink = { 0 };
	struct blockz_sink out = growing_sink(&sink);
	struct blockz_source sources[2] = { bytes_source(old), bytes_source(old) };
	struct blockz_delta_options options = { 0 };
	struct blockz_delta_result result;
	sources[1].size = BLOCKZ_UNKNOWN;
	ck_assert_int_eq(blockz_delta(&sources[0], &sources[1], &out, &options, &result, NULL), BLOCKZ_USAGE);
}
END_TEST

int main(void)
{
	TCase *tcase = case_new("delta");
	case_add_formats(tcase, test_compressed);
	case_add_formats(tcase, test_proved);
	tcase_add_test(tcase, test_clients);
	tcase_add_test(tcase, test_budget);
	tcase_add_test(tcase, test_demoted);
	tcase_add_test(tcase, test_plain);
	tcase_add_test(tcase, test_windows);
	tcase_add_test(tcase, test_windows_of_like_texts);
	tcase_add_test(tcase, test_least_memory);
	tcase_add_test(tcase, test_narrow);
	tcase_add_test(tcase, test_failing);
	tcase_add_test(tcase, test_interrupted);
	tcase_add_test(tcase, test_coverage);
	tcase_add_test(tcase, test_unknown_size);
	return case_run("delta", tcase);
}
