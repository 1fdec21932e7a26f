/* SPDX-License-Identifier: BSD-3-Clause */
/* Images beyond memory: a sparse one of a TiB through everything, and a stream in the memory of its pieces. */
#include <string.h>
#include <sys/resource.h>
#include <zlib.h>

#include "sparse.h"

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
	struct blockz_pack_options options = { .level = 2, .format = format->name, .raw = &raw, .raw_count = 1 };
	struct folded file = { .size = 0 };
	struct blockz_source source = sparse_source(&image, true);
	struct blockz_sink sink = folded_sink(&file);
	struct blockz_pack_result result;
	ck_assert_int_eq(blockz_pack(&source, &sink, &options, &result, NULL), BLOCKZ_OK);
	ck_assert_uint_eq(result.image_size, image.size);
	ck_assert_uint_eq(result.file_size, file.size);
	uint64_t piece = format->piece_size_default != 0 ? format->piece_size_default : 24 * MIB;
	ck_assert_uint_ge(result.zero_bytes, image.size - 5 * piece);
	ck_assert_uint_lt(image.bytes_read, 6 * piece);
	check_trailer(format, &file, &image);

	struct blockz_map *map = map_of(folded_source(&file), false);
	check_sparse_reads(&file, map, &image);
	patch_sparse(&file, map, &image);
	check_sparse_reads(&file, map, &image);
	check_trailer(format, &file, &image);
	check_sparse_verifies(&file, &image);
	blockz_map_free(map);
	ck_assert_uint_lt(peak_memory() - memory, (uint64_t)(sanitized ? 4096 : 64) * MIB + 12 * piece);
}
END_TEST

/* The same 4 MiB of noise again and again, 64 MiB in all. */
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
	struct bytes noise = image_new(IMAGE_NOISE, 4 * MIB);
	const struct blockz_range raw = { 4 * MIB, 61 * MIB }; /* liblzma is slow on noise */
	for (int stream = 0; stream < 2; stream++) {
		uint64_t written = 0, memory = peak_memory();
		struct blockz_source source = { &source_ops, &noise, stream ? BLOCKZ_UNKNOWN : 16 * noise.len };
		struct blockz_sink sink = { &sink_ops, &written };
		struct blockz_pack_options options = {
			.format = format->name, .level = format->level_min == 0 ? BLOCKZ_LEVEL_0 : format->level_min,
			.piece_size = MIB, .raw = &raw, .raw_count = 1,
			.work.threads = 2,
		};
		struct blockz_pack_result result;
		ck_assert_int_eq(blockz_pack(&source, &sink, &options, &result, NULL), BLOCKZ_OK);
		ck_assert_uint_eq(written, result.file_size);
		ck_assert_uint_ge(written, 16 * noise.len);
		ck_assert_uint_lt(peak_memory() - memory, (format->piece_size_default != 0 ? 16 : 32) * MIB);
	}
}
END_TEST

int main(void)
{
	TCase *c = case_new("sparse");
	case_add_formats(c, a_sparse_image_beyond_memory);
	if (!sanitized)
		case_add_formats(c, memory_is_bounded_by_threads_and_pieces);
	return case_run("sparse", c);
}
