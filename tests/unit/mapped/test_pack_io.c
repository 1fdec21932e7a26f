/* SPDX-License-Identifier: BSD-3-Clause */
/* Where blockz_pack() reads from and writes to: holes, streams, failures, interruption. */
#include <errno.h>
#include <string.h>

#include "sparse.h"
#include "watch.h"

/* ---- Helpers ---- */

/* A source that goes wrong at its n-th read, or has less than it says; as a stream it checks the order of the reads. */
struct input {
	struct bytes bytes;
	unsigned calls, fail_at;
	uint64_t pos;
	bool stream, out_of_order;
};

static int input_read(void *ctx, void *buf, size_t len, uint64_t off, size_t *got_ret)
{
	struct input *self = ctx;
	if (++self->calls == self->fail_at)
		return EIO;
	if (self->stream && off != self->pos)
		self->out_of_order = true;
	*got_ret = off >= self->bytes.len ? 0 : len < self->bytes.len - off ? len : (size_t)(self->bytes.len - off);
	memcpy(buf, self->bytes.data + off, *got_ret);
	self->pos = off + *got_ret;
	return 0;
}

static const struct blockz_source_ops input_ops = { .read = input_read };

static struct blockz_source input_source(struct input *self, uint64_t size)
{
	self->stream = size == BLOCKZ_UNKNOWN;
	return (struct blockz_source){ &input_ops, self, size };
}

static enum blockz_status pack_to(struct growing_sink *sink, bool rewritable, const struct blockz_source *source,
				  const struct blockz_pack_options *options, struct blockz_pack_result *result_ret,
				  struct blockz_fault *fault)
{
	struct blockz_sink out = rewritable ? growing_sink_rewritable(sink) : growing_sink(sink);
	*fault = (struct blockz_fault){ .status = BLOCKZ_OK };
	enum blockz_status status = blockz_pack(source, &out, options, result_ret, fault);
	ck_assert_int_eq(fault->status, status);
	ck_assert_int_eq(strlen(fault->text) > 0, status != BLOCKZ_OK);
	return status;
}

/* ---- Equal input, equal output ---- */

static struct bytes pack_sparse(const struct blockz_format *format, struct sparse *image, bool knows_holes,
				unsigned threads, uint64_t piece_size)
{
	const struct blockz_range raw[] = { { 1000000, 1200001 }, { 2 * MIB, 2 * MIB + 4096 } };
	struct blockz_pack_options options = {
		.level = 2, .format = format->name, .piece_size = piece_size, .raw = raw, .raw_count = 2, .work.threads = threads,
	};
	struct growing_sink sink = { .calls = 0 };
	struct blockz_source source = sparse_source(image, knows_holes);
	struct blockz_pack_result result;
	struct blockz_fault fault;
	ck_assert_int_eq(pack_to(&sink, true, &source, &options, &result, &fault), BLOCKZ_OK);
	return sink.bytes;
}

START_TEST(threads_and_holes_change_nothing)
{
	const struct blockz_format *format = format_of(_i);
	const uint64_t piece = format->piece_size_min;
	struct sparse image = { .size = 4 * MIB + 54321, .count = 5 };
	image.parts[0].bytes = image_new(IMAGE_TEXT, 10000);
	image.parts[1].off = 10 * piece - 1;
	image.parts[1].bytes = image_new(IMAGE_DISK, 4 * piece + 2);
	image.parts[2].off = 1100000;
	image.parts[2].bytes = image_new(IMAGE_NOISE, 150000); /* begins in a raw range */
	image.parts[3].off = 3 * MIB;
	image.parts[3].bytes = image_new(IMAGE_ZEROS, 5 * piece); /* written zeros */
	image.parts[4].off = image.size - 1;
	image.parts[4].bytes = image_new(IMAGE_NOISE, 1);
	for (uint64_t size = piece; size <= 4 * piece; size *= 4) {
		struct bytes expected = pack_sparse(format, &image, false, 1, size);
		for (unsigned threads = 1; threads <= 8; threads = threads < 3 ? threads + 1 : threads + 5) {
			assert_bytes(pack_sparse(format, &image, false, threads, size), expected);
			assert_bytes(pack_sparse(format, &image, true, threads, size), expected);
		}
		struct bytes plain = bytes_new(image.size);
		sparse_source(&image, false).ops->read(&image, plain.data, plain.len, 0, &plain.len);
		assert_decodes(format->name, expected, plain);
	}
}
END_TEST

START_TEST(holes_are_not_read)
{
	const struct blockz_format *format = format_of(_i);
	const uint64_t piece = format->piece_size_min;
	struct sparse image = { .size = 100 * piece + 5, .count = 2 };
	image.parts[0].off = 30 * piece + 17;
	image.parts[0].bytes = image_new(IMAGE_TEXT, 3);
	image.parts[1].off = 70 * piece - 1;
	image.parts[1].bytes = image_new(IMAGE_TEXT, 2);
	pack_sparse(format, &image, true, 2, piece);
	uint64_t raw = 200001 + 4096 + 2 * 3 * piece; /* and the pieces that their edges lie in */
	ck_assert_uint_le(image.bytes_read, raw + 3 * piece + 5);
}
END_TEST

/* ---- Streams, and sinks that only append ---- */

START_TEST(streams_are_packed_like_images_without_an_index)
{
	const struct blockz_format *format = format_of(_i);
	const size_t piece = (size_t)format->piece_size_min;
	const size_t sizes[] = { 0, 1, piece - 1, piece, piece + 1, 3 * piece, 5 * piece + 999 };
	for (size_t i = 0; i < 4 * sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct input input = { .bytes = image_new(i % 2 ? IMAGE_DISK : IMAGE_ZEROS, sizes[i / 4]) };
		/* A range may end where the stream does, or say so. */
		struct blockz_range raw = { input.bytes.len / 2, i % 4 / 2 ? BLOCKZ_UNKNOWN : input.bytes.len };
		struct blockz_pack_options options = {
			.level = 2, .format = format->name, .piece_size = piece, .no_index = true, .raw = &raw, .raw_count = 1,
		};
		/* An index at the end needs nothing that a pipe has not. */
		options.no_index = has_own_index(format);
		struct bytes expected = pack_image(format, input.bytes, options, NULL);
		options.no_index = false;
		for (int rewritable = 0; rewritable < 2; rewritable++) {
			for (int known = 0; known + rewritable < 2; known++) {
				struct blockz_source source = input_source(&input, known ? input.bytes.len : BLOCKZ_UNKNOWN);
				struct growing_sink sink = { .calls = 0 };
				struct blockz_pack_result result;
				struct blockz_fault fault;
				input.pos = 0;
				ck_assert_int_eq(pack_to(&sink, rewritable, &source, &options, &result, &fault), BLOCKZ_OK);
				ck_assert(known || !input.out_of_order);
				ck_assert_uint_eq(result.image_size, input.bytes.len);
				ck_assert_uint_eq(result.file_size, sink.bytes.len);
				ck_assert_uint_eq(result.raw_bytes, input.bytes.len - raw.start);
				ck_assert_uint_eq(result.index_piece_size, has_own_index(format) ? 0 : piece);
				assert_decodes(format->name, sink.bytes, input.bytes);
				assert_bytes(sink.bytes, expected);
				assert_verifies(sink.bytes);
			}
		}
	}
}
END_TEST

START_TEST(ranges_beyond_the_end_of_a_stream_are_refused)
{
	const struct blockz_format *format = format_of(_i);
	struct input input = { .bytes = image_new(IMAGE_TEXT, 100000) };
	const struct blockz_range bad[] = { { 0, 100001 }, { 99999, 500000 }, { 100001, BLOCKZ_UNKNOWN }, { 1, 1ULL << 62 } };
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		const struct blockz_range raw[] = { { 10, 20 }, bad[i], { 30, 40 } };
		struct blockz_pack_options options = { .level = 2, .format = format->name, .raw = raw, .raw_count = 3 };
		struct growing_sink sink = { .calls = 0 };
		struct blockz_source source = input_source(&input, BLOCKZ_UNKNOWN);
		struct blockz_pack_result result;
		struct blockz_fault fault;
		ck_assert_int_eq(pack_to(&sink, true, &source, &options, &result, &fault), BLOCKZ_USAGE);
		if (strcmp(format->name, "zstd") != 0) /* whose frames are whole as they come */
			ck_assert(!judge_says(format->name, sink.bytes, input.bytes));
	}
}
END_TEST

/* ---- What goes wrong ---- */

START_TEST(images_that_shrink_or_cannot_be_read_fail)
{
	const struct blockz_format *format = format_of(_i);
	struct input input = { .bytes = image_new(IMAGE_DISK, 700000) };
	const struct blockz_range raw = { 200000, 400000 };
	struct blockz_pack_result result;
	struct blockz_fault fault;
	for (unsigned threads = 1; threads <= 3; threads++) {
		struct blockz_pack_options options = {
			.level = 2, .format = format->name, .piece_size = format->piece_size_min, .raw = &raw, .raw_count = 1,
			.work.threads = threads,
		};
		struct blockz_source longer = input_source(&input, input.bytes.len + 1);
		struct growing_sink sink = { .calls = 0 };
		input.calls = input.fail_at = 0;
		ck_assert_int_eq(pack_to(&sink, true, &longer, &options, &result, &fault), BLOCKZ_FAILED);
		for (int stream = 0; stream < 2; stream++) {
			struct blockz_source source = input_source(&input, stream ? BLOCKZ_UNKNOWN : input.bytes.len);
			enum blockz_status status = BLOCKZ_FAILED;
			for (input.fail_at = 1; status != BLOCKZ_OK; input.fail_at++) {
				input.calls = 0;
				input.pos = 0;
				sink = (struct growing_sink){ .calls = 0 };
				status = pack_to(&sink, true, &source, &options, &result, &fault);
				ck_assert_int_eq(status, input.calls >= input.fail_at ? BLOCKZ_FAILED : BLOCKZ_OK);
			}
			ck_assert_uint_gt(input.fail_at, 10);
		}
	}
}
END_TEST

static int no_next_data(void *ctx, uint64_t off, uint64_t *start_ret, uint64_t *end_ret)
{
	struct input *self = ctx;
	*start_ret = off; /* all of it is data */
	*end_ret = off + 1;
	return ++self->calls == self->fail_at ? EIO : 0;
}

START_TEST(holes_that_cannot_be_found_fail)
{
	static const struct blockz_source_ops ops = { .read = input_read, .next_data = no_next_data };
	const struct blockz_format *format = format_of(_i);
	struct input input = { .bytes = image_new(IMAGE_TEXT, 500000) };
	struct blockz_source source = { &ops, &input, input.bytes.len };
	struct blockz_pack_options options = { .level = 2, .format = format->name, .piece_size = format->piece_size_min };
	enum blockz_status status = BLOCKZ_FAILED;
	for (input.fail_at = 1; status != BLOCKZ_OK; input.fail_at++) {
		struct growing_sink sink = { .calls = 0 };
		struct blockz_pack_result result;
		struct blockz_fault fault;
		input.calls = 0;
		status = pack_to(&sink, true, &source, &options, &result, &fault);
		ck_assert_int_eq(status, input.calls >= input.fail_at ? BLOCKZ_FAILED : BLOCKZ_OK);
	}
	ck_assert_uint_gt(input.fail_at, 12); /* a call for each piece, and a read */
}
END_TEST

START_TEST(sinks_that_fail_at_any_write_fail)
{
	const struct blockz_format *format = format_of(_i);
	struct bytes image = bytes_join(image_new(IMAGE_DISK, 500000), image_new(IMAGE_ZEROS, 500000));
	struct blockz_source source = bytes_source(image);
	struct blockz_range raw = { 200000, 400000 };
	for (unsigned threads = 1; threads <= 3; threads++) {
		struct blockz_pack_options options = {
			.level = 2, .format = format->name, .piece_size = format->piece_size_min, .raw = &raw, .raw_count = 1,
			.work.threads = threads,
		};
		enum blockz_status status = BLOCKZ_FAILED;
		unsigned fail_at;
		for (fail_at = 1; status != BLOCKZ_OK; fail_at++) {
			struct growing_sink sink = { .fail_at = fail_at };
			struct blockz_pack_result result = { .pieces = 12345 };
			struct blockz_fault fault;
			status = pack_to(&sink, true, &source, &options, &result, &fault);
			bool failed = sink.calls >= fail_at;
			ck_assert_int_eq(status, failed ? BLOCKZ_FAILED : BLOCKZ_OK);
			ck_assert_int_eq(result.pieces == 12345, failed);
			ck_assert_uint_le(sink.calls, fail_at); /* nothing is written behind a failure */
		}
		ck_assert_uint_gt(fail_at, 15);
	}
}
END_TEST

START_TEST(progress_is_told_and_may_interrupt)
{
	const struct blockz_format *format = format_of(_i);
	struct bytes image = image_new(IMAGE_DISK, 1000000);
	struct blockz_source source = bytes_source(image);
	for (unsigned threads = 1; threads <= 3; threads++) {
		enum blockz_status status = BLOCKZ_FAILED;
		struct watch watch = { .calls = 0 };
		for (unsigned stop_at = 1; status != BLOCKZ_OK; stop_at++) {
			watch = (struct watch){ .stop_at = stop_at };
			struct blockz_pack_options options = {
				.level = 2, .format = format->name, .piece_size = format->piece_size_min,
				.work = watched_work(&watch, threads),
			};
			struct growing_sink sink = { .calls = 0 };
			struct blockz_pack_result result;
			struct blockz_fault fault;
			status = pack_to(&sink, true, &source, &options, &result, &fault);
			assert_watched(&watch, status, &fault);
		}
		ck_assert_uint_gt(watch.calls, 10);
		ck_assert_uint_eq(watch.image_done, image.len);
	}
}
END_TEST

int main(void)
{
	TCase *c = case_new("pack_io");
	case_add_formats(c, threads_and_holes_change_nothing);
	case_add_formats(c, holes_are_not_read);
	case_add_formats(c, streams_are_packed_like_images_without_an_index);
	case_add_formats(c, ranges_beyond_the_end_of_a_stream_are_refused);
	case_add_formats(c, images_that_shrink_or_cannot_be_read_fail);
	case_add_formats(c, holes_that_cannot_be_found_fail);
	case_add_formats(c, sinks_that_fail_at_any_write_fail);
	case_add_formats(c, progress_is_told_and_may_interrupt);
	return case_run("pack_io", c);
}
