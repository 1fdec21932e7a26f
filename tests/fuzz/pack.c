/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Any image and options: the format's own library gives the packed image back, verify accepts it, and the raw ranges
 * are raw.  The first bytes of the input choose the options, the rest is the image or says how to make it.
 */
#include "base/bytes.h"
#include "fuzz.h"

enum { PREFIX_LEN = 16, IMAGE_MAX = 136 << 10 }; /* a few pieces: a run must not take long */

/* So many ranges of gzip do not fit in an index; to begin a piece costs xz and zstd more. */
enum { RAW_MAX = 2200, RAW_MAX_OTHERS = 12 };

enum flags { NO_INDEX = 1, STREAM = 2, MANY_RAW = 4, LITERAL = 8, HOLES = 16 };

/* ---- The image ---- */

/* Two bytes each: a kind and a length; zeros in large measures, so that whole pieces of them occur. */
static void make_image(struct bytes *image, const uint8_t *script, size_t len)
{
	for (size_t i = 0; i + 2 <= len && image->len < IMAGE_MAX; i += 2) {
		size_t kind = script[i] % 4, have = image->len, n = (size_t)script[i + 1] << (kind == 0 ? 10 : 7);
		bytes_resize(image, have + n);
		uint32_t state = script[i];
		for (size_t k = have; k < image->len; k++) {
			state = state * 1103515245 + 12345;
			image->data[k] = kind == 0 ? 0 : kind == 1 ? script[i] : (uint8_t)(state >> 24 >> kind);
		}
	}
}

static int image_read(void *ctx, void *buf, size_t len, uint64_t off, size_t *got_ret)
{
	return bytes_read(ctx, buf, len, off, got_ret);
}

/* Holes are 1024-byte blocks of zeros. */
static int image_next_data(void *ctx, uint64_t off, uint64_t *start_ret, uint64_t *end_ret)
{
	static const uint8_t zeros[1024];
	const struct bytes *image = ctx;
	uint64_t start = off;
	while (start + sizeof(zeros) <= image->len && memcmp(image->data + start, zeros, sizeof(zeros)) == 0)
		start += sizeof(zeros);
	uint64_t end = start;
	while (end < image->len && (image->len - end < sizeof(zeros) ||
				    memcmp(image->data + end, zeros, sizeof(zeros)) != 0))
		end = image->len - end < sizeof(zeros) ? image->len : end + sizeof(zeros);
	*start_ret = start;
	*end_ret = end;
	return 0;
}

/* ---- The raw ranges ---- */

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* One or two ranges; or many at equal distances, which an index has hardly room for. */
static size_t make_raw(struct blockz_range *raw, size_t max, const uint8_t *p, unsigned flags, uint64_t image_size)
{
	uint64_t first = (load_le32(p) & 0xffffff) % (image_size + 1), len = load_le32(p + 3) & 0xfffff;
	uint64_t second = (load_le32(p + 6) & 0xffffff) % (image_size + 1);
	if (!(flags & MANY_RAW)) {
		raw[0] = (struct blockz_range){ first, least(image_size, first + len) };
		raw[1] = (struct blockz_range){ second, least(image_size, second + len / 2) };
		return 2;
	}
	uint64_t step = 1 + p[9], part = 1 + len % 64;
	size_t count = 0;
	for (uint64_t start = first; start < image_size && count < max; start += part + step)
		raw[count++] = (struct blockz_range){ start, least(image_size, start + part) };
	return count;
}

static void check_raw(const struct blockz_map *map, struct blockz_range *raw, size_t count)
{
	count = blockz_ranges_unite(raw, count);
	for (size_t i = 0; i < count; i++) {
		struct blockz_map_range range;
		assert(blockz_map_range_at(map, raw[i].start, &range));
		assert(range.kind == BLOCKZ_RAW && range.patchable);
		assert(range.start <= raw[i].start && range.end >= raw[i].end);
	}
}

static void check_packed(const struct bytes *packed, const struct bytes *image, struct blockz_range *raw,
			 size_t raw_count, const struct blockz_pack_result *result)
{
	struct blockz_memory memory = bytes_memory(packed);
	struct blockz_source file = blockz_source_memory(&memory);
	struct bytes unpacked = { 0 };
	struct blockz_map *map = NULL;
	uint64_t image_size;
	assert(result->image_size == image->len && result->file_size == packed->len);
	assert(judge_file(packed->data, packed->len, SIZE_MAX, &unpacked) == ACCEPTED && bytes_equal(&unpacked, image));
	assert(verify(&file, false, &image_size) == BLOCKZ_OK && image_size == image->len);
	assert(verify(&file, true, &image_size) == BLOCKZ_OK && image_size == image->len);
	assert(read_map(&file, false, &map) == BLOCKZ_OK);
	assert((blockz_map_info(map).index != BLOCKZ_INDEX_NONE) == (result->index_piece_size != 0));
	if (result->index_piece_size != 0)
		check_raw(map, raw, raw_count);
	blockz_map_free(map);
	free(unpacked.data);
}

/* Levels that take long, or much memory, are for other tests. */
static void choose_format(struct blockz_pack_options *options, const uint8_t *p)
{
	size_t formats = 0, checks = 0;
	while (blockz_format_at(formats) != NULL)
		formats++;
	const struct blockz_format *format = blockz_format_at(p[13] % formats);
	options->format = format->name;
	options->level = p[13] % formats == 0 ? p[0] % 13 : 1 + p[0] % 2;
	while (format->checks != NULL && format->checks[checks] != NULL)
		checks++;
	options->check = checks > 0 ? format->checks[p[14] % checks] : NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct blockz_range raw[RAW_MAX];
	if (size < PREFIX_LEN)
		return 0;
	const struct blockz_source_ops plain = { .read = image_read };
	const struct blockz_source_ops holes = { .read = image_read, .next_data = image_next_data };
	struct bytes image = { 0 }, packed = { 0 };
	unsigned flags = data[2];
	if (flags & LITERAL)
		bytes_append(&image, data + PREFIX_LEN, size - PREFIX_LEN);
	else
		make_image(&image, data + PREFIX_LEN, size - PREFIX_LEN);
	struct blockz_pack_options options = {
		.piece_size = (uint64_t)1 << (16 + data[1] % 3), .no_index = flags & NO_INDEX, .raw = raw,
		.work = { .threads = 1 + (flags >> 7) },
	};
	choose_format(&options, data);
	size_t max = strcmp(options.format, "gzip") == 0 ? RAW_MAX : RAW_MAX_OTHERS;
	options.raw_count = make_raw(raw, max, data + 3, flags, image.len);
	struct blockz_source source = { flags & HOLES ? &holes : &plain, &image,
					flags & STREAM ? BLOCKZ_UNKNOWN : image.len };
	struct blockz_sink sink = bytes_sink(&packed);
	struct blockz_pack_result result;
	assert(blockz_pack(&source, &sink, &options, &result, NULL) == BLOCKZ_OK);
	check_packed(&packed, &image, raw, options.raw_count, &result);
	free(packed.data);
	free(image.data);
	return 0;
}
