/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * .xz and .zst files, whole and damaged: what blockz_verify() accepts their own libraries accept, with the same image, and
 * when all that is patchable is overwritten with its complement they find just that.
 *
 * The first byte chooses format, level and index, the second how many bytes of the packed file are changed, by three bytes
 * each: where, and by what.  The rest is the image, whose second quarter is raw.
 */
#include "fuzz.h"

enum { IMAGE_MAX = 8 << 20, CHANGES_MAX = 8 };

static enum verdict decode(const struct bytes *file, struct bytes *image)
{
	return judge_file(file->data, file->len, IMAGE_MAX, image);
}

static void pack(const uint8_t *image, size_t len, uint8_t choice, struct bytes *file)
{
	static const char *const checks[][3] = { { "crc64", "sha256", "none" }, { "xxh64", "xxh64", "none" } };
	struct blockz_memory memory = { image, len };
	struct blockz_source source = blockz_source_memory(&memory);
	struct blockz_sink sink = bytes_sink(file);
	const struct blockz_range raw = { len / 4, len / 2 };
	bool zstd = choice & 1;
	struct blockz_pack_options options = {
		.format = zstd ? "zstd" : "xz", .level = 1, .check = checks[zstd][choice / 2 % 3], .piece_size = 65536,
		.no_index = choice & 64, .raw = &raw, .raw_count = 1, .work = one_thread,
	};
	struct blockz_pack_result result;
	assert(blockz_pack(&source, &sink, &options, &result, NULL) == BLOCKZ_OK);
}

/* Overwrites every patchable byte with its complement, in file and image. */
static bool complement(struct bytes *file, struct bytes *image, bool scan)
{
	struct blockz_memory old = bytes_memory(file), new;
	struct blockz_source source = blockz_source_memory(&old), data;
	struct blockz_map *map = NULL;
	struct blockz_plan *plan = NULL;
	struct blockz_map_range range;
	struct blockz_fault fault = { 0 };
	if (read_map(&source, scan, &map) != BLOCKZ_OK)
		return false;
	assert(blockz_map_info(map).image_size == image->len);
	for (uint64_t pos = 0; blockz_map_range_at(map, pos, &range); pos = range.end)
		for (uint64_t i = range.start; range.patchable && i < range.end; i++)
			image->data[i] ^= 0xff;
	new = bytes_memory(image);
	data = blockz_source_memory(&new);
	struct blockz_edit edit = { .range = { 0, image->len }, .data = data, .same_elsewhere = true };
	enum blockz_status status = blockz_plan_new(&source, map, &edit, 1, &one_thread, &plan, &fault);
	check_fault(status, &fault);
	if (status == BLOCKZ_OK) {
		struct bytes patched = { 0 };
		struct blockz_sink sink = bytes_sink(&patched);
		assert(blockz_plan_copy(plan, &source, &sink, NULL) == BLOCKZ_OK && patched.len == file->len);
		memcpy(file->data, patched.data, patched.len);
		free(patched.data);
	}
	blockz_plan_free(plan);
	blockz_map_free(map);
	return status == BLOCKZ_OK;
}

static void judge(struct bytes *file)
{
	struct blockz_memory memory = bytes_memory(file);
	struct blockz_source source = blockz_source_memory(&memory);
	struct bytes image = { 0 }, again = { 0 };
	uint64_t size = 0;
	enum blockz_status status = verify(&source, false, &size);
	enum verdict verdict = decode(file, &image);
	assert(status != BLOCKZ_OK || verdict == TOO_LARGE || (verdict == ACCEPTED && size == image.len));
	for (int scan = 0; scan < 2 && status == BLOCKZ_OK && verdict == ACCEPTED; scan++, again.len = 0)
		if (complement(file, &image, scan))
			assert(decode(file, &again) == ACCEPTED && bytes_equal(&image, &again));
	free(image.data);
	free(again.data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes file = { 0 };
	size_t changes = size > 1 ? data[1] % CHANGES_MAX : 0, head = 2 + 3 * changes;
	if (size < head)
		return 0;
	pack(data + head, size - head, data[0], &file);
	if (changes == 0) {
		struct blockz_memory memory = bytes_memory(&file);
		struct blockz_source source = blockz_source_memory(&memory);
		uint64_t image_size;
		assert(verify(&source, false, &image_size) == BLOCKZ_OK && image_size == size - head);
	}
	for (size_t i = 0; i < changes; i++)
		file.data[(data[2 + 3 * i] | (size_t)data[3 + 3 * i] << 8) % file.len] ^= data[4 + 3 * i];
	judge(&file);
	free(file.data);
	return 0;
}
