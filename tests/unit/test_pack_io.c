/* SPDX-License-Identifier: BSD-3-Clause */
/* Where blockz_pack() reads from and writes to: holes, streams, failures, interruption, and images beyond memory. */
#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <zlib.h>

#include "sparse.h"

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
		.format = format->name, .piece_size = piece_size, .raw = raw, .raw_count = 2, .work.threads = threads,
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
			.format = format->name, .piece_size = piece, .no_index = true, .raw = &raw, .raw_count = 1,
		};
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
				ck_assert_uint_eq(result.index_piece_size, 0);
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
		struct blockz_pack_options options = { .format = format->name, .raw = raw, .raw_count = 3 };
		struct growing_sink sink = { .calls = 0 };
		struct blockz_source source = input_source(&input, BLOCKZ_UNKNOWN);
		struct blockz_pack_result result;
		struct blockz_fault fault;
		ck_assert_int_eq(pack_to(&sink, true, &source, &options, &result, &fault), BLOCKZ_USAGE);
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
			.format = format->name, .piece_size = format->piece_size_min, .raw = &raw, .raw_count = 1,
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

START_TEST(sinks_that_fail_at_any_write_fail)
{
	const struct blockz_format *format = format_of(_i);
	struct bytes image = bytes_join(image_new(IMAGE_DISK, 500000), image_new(IMAGE_ZEROS, 500000));
	struct blockz_source source = bytes_source(image);
	struct blockz_range raw = { 200000, 400000 };
	for (unsigned threads = 1; threads <= 3; threads++) {
		struct blockz_pack_options options = {
			.format = format->name, .piece_size = format->piece_size_min, .raw = &raw, .raw_count = 1,
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

struct watch {
	unsigned calls, stop_at;
	uint64_t image_done, file_done;
	bool backwards;
};

static bool watch_progress(void *ctx, uint64_t image_done, uint64_t file_done)
{
	struct watch *watch = ctx;
	watch->backwards = watch->backwards || image_done < watch->image_done || file_done < watch->file_done;
	watch->image_done = image_done;
	watch->file_done = file_done;
	return ++watch->calls != watch->stop_at;
}

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
				.format = format->name, .piece_size = format->piece_size_min,
				.work = { threads, watch_progress, &watch },
			};
			struct growing_sink sink = { .calls = 0 };
			struct blockz_pack_result result;
			struct blockz_fault fault;
			status = pack_to(&sink, true, &source, &options, &result, &fault);
			ck_assert_int_eq(status, watch.calls >= stop_at ? BLOCKZ_FAILED : BLOCKZ_OK);
			if (status != BLOCKZ_OK)
				ck_assert_str_eq(fault.text, "interrupted");
			ck_assert_uint_le(watch.calls, stop_at);
			ck_assert(!watch.backwards);
		}
		ck_assert_uint_gt(watch.calls, 10);
		ck_assert_uint_eq(watch.image_done, image.len);
	}
}
END_TEST

/* ---- Beyond memory ---- */

static uint64_t peak_memory(void)
{
	struct rusage usage;
	getrusage(RUSAGE_SELF, &usage);
	return (uint64_t)usage.ru_maxrss * KIB;
}

static uint64_t crc_of_zeros(uint64_t len)
{
	static const uint8_t zero[1] = { 0 };
	uint64_t crc = 0, power = crc32(0, zero, 1);
	for (uint64_t n = 1; n <= len; n *= 2) {
		if (len & n)
			crc = crc32_combine(crc, power, (z_off_t)n);
		power = crc32_combine(power, power, (z_off_t)n);
	}
	return crc;
}

/* The CRC-32 of a sparse image, by zlib. */
static uint64_t crc_of_sparse(const struct sparse *image)
{
	uint64_t crc = 0, pos = 0;
	for (size_t i = 0; i < image->count; i++) {
		uint64_t hole = image->parts[i].off - pos;
		crc = crc32_combine(crc, crc_of_zeros(hole), (z_off_t)hole);
		crc = crc32(crc, image->parts[i].bytes.data, (uInt)image->parts[i].bytes.len);
		pos = image->parts[i].off + image->parts[i].bytes.len;
	}
	return crc32_combine(crc, crc_of_zeros(image->size - pos), (z_off_t)(image->size - pos));
}

/* Nobody decodes a TiB here, but its CRC is known. */
static void check_trailer(const struct blockz_format *format, struct folded *file, const struct sparse *image)
{
	uint8_t trailer[8];
	size_t got = 0;
	if (strcmp(format->name, "gzip") != 0)
		return;
	folded_source(file).ops->read(file, trailer, 8, file->size - 8, &got);
	uint64_t value = 0;
	for (int i = 7; i >= 0; i--)
		value = value << 8 | trailer[i];
	ck_assert_uint_eq(got, 8);
	ck_assert_uint_eq(value & UINT32_MAX, crc_of_sparse(image));
	ck_assert_uint_eq(value >> 32, image->size & UINT32_MAX);
}

static void check_sparse_verifies(struct folded *file, struct sparse *image)
{
	struct blockz_source source = folded_source(file), against = sparse_source(image, true);
	struct blockz_verify_options options = { .against = &against };
	struct blockz_verify_result result;
	struct blockz_fault fault = { .text = "" };
	enum blockz_status status = blockz_verify(&source, &options, &result, &fault);
	ck_assert_msg(status == BLOCKZ_OK, "%s", fault.text);
	ck_assert_uint_eq(result.map.image_size, image->size);
	ck_assert_uint_eq(result.raw_bytes, 8192);
}

static void check_sparse_reads(struct folded *file, const struct blockz_map *map, struct sparse *image)
{
	struct blockz_source source = folded_source(file), plain = sparse_source(image, false);
	struct blockz_reader *reader = NULL;
	static uint8_t found[100000], expected[100000];
	size_t got;
	ck_assert_int_eq(blockz_reader_new(&source, map, &reader, NULL), BLOCKZ_OK);
	for (size_t i = 0; i < 3 * image->count; i++) {
		uint64_t off = i % 3 ? rnd_below(image->size) : image->parts[i / 3].off;
		size_t len = image->size - off < sizeof(found) ? (size_t)(image->size - off) : sizeof(found);
		ck_assert_int_eq(blockz_reader_read(reader, found, len, off, NULL), BLOCKZ_OK);
		plain.ops->read(plain.ctx, expected, len, off, &got);
		ck_assert_mem_eq(found, expected, len);
	}
	blockz_reader_free(reader);
}

/* Changes the middle part, which is raw. */
static void patch_sparse(struct folded *file, const struct blockz_map *map, struct sparse *image)
{
	struct blockz_source source = folded_source(file);
	struct blockz_store store = folded_store(file);
	struct bytes new = image_new(IMAGE_TEXT, image->parts[1].bytes.len);
	struct blockz_edit edit = {
		.range = { image->parts[1].off, image->parts[1].off + new.len }, .data = bytes_source(new),
	};
	struct blockz_work work = { .threads = 1 };
	struct blockz_plan *plan = NULL;
	ck_assert_int_eq(blockz_plan_new(&source, map, &edit, 1, &work, &plan, NULL), BLOCKZ_OK);
	ck_assert_int_eq(blockz_plan_apply(plan, &store, NULL), BLOCKZ_OK);
	blockz_plan_free(plan);
	image->parts[1].bytes = new;
}

START_TEST(a_sparse_image_beyond_memory)
{
	const struct blockz_format *format = format_of(_i);
	uint64_t memory = peak_memory();
	/* A zero piece takes a thousandth of its size in a .gz: there is 1 GiB of them. */
	struct sparse image = { .size = ((uint64_t)1 << (sanitized ? 36 : 40)) + 12345, .count = 3 };
	image.parts[0].off = 5000;
	image.parts[0].bytes = image_new(IMAGE_TEXT, 5000);
	image.parts[1].off = image.size / 2 + 100;
	image.parts[1].bytes = image_new(IMAGE_NOISE, 4096);
	image.parts[2].off = image.size - 100;
	image.parts[2].bytes = image_new(IMAGE_NOISE, 77);
	struct blockz_range raw = { image.parts[1].off - 4000, image.parts[1].off + 4192 };
	struct blockz_pack_options options = { .format = format->name, .raw = &raw, .raw_count = 1 };
	struct folded file = { .size = 0 };
	struct blockz_source source = sparse_source(&image, true);
	struct blockz_sink sink = folded_sink(&file);
	struct blockz_pack_result result;
	ck_assert_int_eq(blockz_pack(&source, &sink, &options, &result, NULL), BLOCKZ_OK);
	ck_assert_uint_eq(result.image_size, image.size);
	ck_assert_uint_eq(result.file_size, file.size);
	ck_assert_uint_ge(result.zero_bytes, image.size - 5 * format->piece_size_default);
	ck_assert_uint_lt(image.bytes_read, 6 * format->piece_size_default);
	check_trailer(format, &file, &image);

	struct blockz_map *map = map_of(folded_source(&file), false);
	check_sparse_reads(&file, map, &image);
	patch_sparse(&file, map, &image);
	check_sparse_reads(&file, map, &image);
	check_trailer(format, &file, &image);
	check_sparse_verifies(&file, &image);
	blockz_map_free(map);
	ck_assert_uint_lt(peak_memory() - memory, (uint64_t)(sanitized ? 4096 : 64) * MIB);
}
END_TEST

/* The same 16 MiB of noise again and again. */
static int noise_read(void *ctx, void *buf, size_t len, uint64_t off, size_t *got_ret)
{
	struct bytes *noise = ctx;
	const uint64_t size = 16 * (uint64_t)noise->len;
	*got_ret = off >= size ? 0 : len < size - off ? len : (size_t)(size - off);
	for (size_t i = 0; i < *got_ret; i++)
		((uint8_t *)buf)[i] = noise->data[(off + i) % noise->len];
	return 0;
}

static int drop_write(void *ctx, const void *buf, size_t len)
{
	(void)buf;
	*(uint64_t *)ctx += len;
	return 0;
}

START_TEST(memory_is_bounded_by_threads_and_pieces)
{
	static const struct blockz_source_ops source_ops = { .read = noise_read };
	static const struct blockz_sink_ops sink_ops = { .write = drop_write };
	const struct blockz_format *format = format_of(_i);
	struct bytes noise = image_new(IMAGE_NOISE, 16 * MIB);
	const struct blockz_range raw = { 50 * MIB, 100 * MIB };
	for (int stream = 0; stream < 2; stream++) {
		uint64_t written = 0, memory = peak_memory();
		struct blockz_source source = { &source_ops, &noise, stream ? BLOCKZ_UNKNOWN : 16 * noise.len };
		struct blockz_sink sink = { &sink_ops, &written };
		struct blockz_pack_options options = {
			.format = format->name, .level = format->level_min, .piece_size = MIB, .raw = &raw, .raw_count = 1,
			.work.threads = 2,
		};
		struct blockz_pack_result result;
		ck_assert_int_eq(blockz_pack(&source, &sink, &options, &result, NULL), BLOCKZ_OK);
		ck_assert_uint_eq(written, result.file_size);
		ck_assert_uint_ge(written, 16 * noise.len);
		ck_assert_uint_lt(peak_memory() - memory, 2 * 8 * MIB);
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
	case_add_formats(c, sinks_that_fail_at_any_write_fail);
	case_add_formats(c, progress_is_told_and_may_interrupt);
	case_add_formats(c, a_sparse_image_beyond_memory);
	if (!sanitized)
		case_add_formats(c, memory_is_bounded_by_threads_and_pieces);
	return case_run("pack_io", c);
}
