/* SPDX-License-Identifier: BSD-3-Clause */
/* Page stores that are saved: read by others, laid out as pages and ranges are, the image of one moment. */
#include <dlfcn.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "blockz_pages.h"
#include "foreign_zst.h"
#include "pagestore/snapshot.h"

enum { PAGE = 8192 };

/* libzstd's, found here first by what is linked in: how often something is encoded. */
static atomic_uint encoded;

size_t ZSTD_compress2(ZSTD_CCtx *context, void *out, size_t room, const void *bytes, size_t len)
{
	union {
		void *found;
		size_t (*call)(ZSTD_CCtx *, void *, size_t, const void *, size_t);
	} real = { dlsym(RTLD_NEXT, "ZSTD_compress2") };
	encoded++;
	return real.call(context, out, room, bytes, len);
}

/* ---- Stores ---- */

static struct blockz_pages *pages_of(struct blockz_pages_options options)
{
	struct blockz_pages *pages = NULL;
	struct blockz_fault fault = { .text = "" };
	ck_assert_msg(blockz_pages_new(&options, &pages, &fault) == BLOCKZ_OK, "%s", fault.text);
	return pages;
}

static void write_pages(struct blockz_pages *pages, struct bytes image, uint64_t off, size_t len)
{
	struct blockz_fault fault = { .text = "" };
	ck_assert_msg(blockz_pages_write(pages, image.data + off, len, off, &fault) == BLOCKZ_OK, "%s", fault.text);
}

/* Parts of pages are written behind the whole, so that some of them wait, where the store lets them. */
static void fill(struct blockz_pages *pages, struct bytes image)
{
	struct bytes other = bytes_copy(image);
	for (int i = 0; i < 40 && image.len > 0; i++)
		complement(other, rnd_range(image.len));
	write_pages(pages, other, 0, image.len);
	for (size_t pos = 0, len; pos < image.len; pos += len) {
		if (!bytes_differ((struct bytes){ image.data + pos, image.len - pos },
				  (struct bytes){ other.data + pos, image.len - pos }, &len))
			break;
		pos += len;
		len = 1 + (size_t)rnd_below(5000);
		len = len < image.len - pos ? len : image.len - pos;
		write_pages(pages, image, pos, len);
	}
}

static struct blockz_pages *filled(struct bytes image, struct blockz_pages_options options)
{
	options.size = image.len;
	struct blockz_pages *pages = pages_of(options);
	fill(pages, image);
	return pages;
}

static struct bytes save(struct blockz_pages *pages, const struct blockz_range *raw, size_t raw_count,
			 struct blockz_pack_result *result_ret)
{
	const struct blockz_pages_save_options options = { .raw = raw, .raw_count = raw_count };
	struct growing_sink sink = { .calls = 0 };
	struct blockz_sink out = growing_sink(&sink);
	struct blockz_pack_result result;
	struct blockz_fault fault = { .text = "" };
	ck_assert_msg(blockz_pages_save(pages, &out, &options, &result, &fault) == BLOCKZ_OK, "%s", fault.text);
	ck_assert_uint_eq(result.file_size, sink.bytes.len);
	if (result_ret != NULL)
		*result_ret = result;
	return sink.bytes;
}

/* ---- What is saved ---- */

static bool is_raw(const struct blockz_range *raw, size_t raw_count, uint64_t off)
{
	for (size_t i = 0; i < raw_count; i++)
		if (raw[i].start <= off && off < raw[i].end)
			return true;
	return false;
}

/* No frame of data is longer than a page, nor lies on both sides of an edge of a raw range. */
static void check_frames(struct bytes file, struct bytes image, const struct blockz_range *raw, size_t raw_count,
			 uint64_t page_size)
{
	struct seek_table table;
	uint64_t pos = 0;
	ck_assert(seek_table_find(file, &table));
	for (size_t i = 0; i < table.count; i++) {
		uint64_t len = table.entries[i].image_len, end = pos + len;
		for (size_t j = 0; j < raw_count; j++) {
			ck_assert(raw[j].start <= pos || raw[j].start >= end);
			ck_assert(raw[j].end <= pos || raw[j].end >= end);
		}
		if (len > page_size && !is_raw(raw, raw_count, pos))
			ck_assert(bytes_are_zero(image.data + pos, (size_t)len));
		pos = end;
	}
}

static void check_raw(struct bytes file, struct bytes image, const struct blockz_range *raw, size_t raw_count)
{
	struct blockz_map *map = map_of(bytes_source(file), false);
	struct blockz_map_range range;
	struct blockz_extent extent;
	for (size_t i = 0; i < raw_count; i++) {
		for (uint64_t pos = raw[i].start; pos < raw[i].end; pos = range.end) {
			ck_assert(blockz_map_range_at(map, pos, &range));
			ck_assert_int_eq(range.kind, BLOCKZ_RAW);
			ck_assert(range.patchable);
		}
		for (uint64_t pos = raw[i].start; pos < raw[i].end; pos += extent.length) {
			ck_assert(blockz_map_extent_at(map, pos, &extent));
			ck_assert_mem_eq(file.data + extent.file_off, image.data + pos, extent.length);
		}
	}
	blockz_map_free(map);
}

static struct bytes check_saved(struct blockz_pages *pages, struct bytes image, const struct blockz_range *raw,
				size_t raw_count)
{
	struct blockz_pack_result result;
	struct bytes file = save(pages, raw, raw_count, &result);
	uint64_t raw_bytes = 0;
	for (size_t i = 0; i < raw_count; i++)
		raw_bytes += raw[i].end - raw[i].start;
	ck_assert_uint_eq(result.image_size, image.len);
	ck_assert_uint_eq(result.raw_bytes, raw_bytes);
	assert_reads(format_named("zstd"), file, image);
	assert_seek_table(file, image, true);
	check_frames(file, image, raw, raw_count, blockz_pages_info(pages).page_size);
	check_raw(file, image, raw, raw_count);
	return file;
}

START_TEST(sizes_and_layouts)
{
	static const size_t sizes[] = { 0, 1, 4095, 4096, 4097, PAGE, 3 * PAGE - 1, 700001, 3000000 };
	static const uint32_t page_sizes[] = { 4096, PAGE, 262144 };
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct bytes image = image_new((enum image_kind)(i % IMAGE_KINDS), sizes[i]);
		struct blockz_range raw[] = { { 0, sizes[i] / 7 }, { sizes[i] / 3, sizes[i] / 2 } };
		struct blockz_pages_options options = {
			.page_size = page_sizes[(size_t)_i % 3], .layout = (enum blockz_pages_layout)(_i / 3),
			.level = i % 2 == 0 ? 0 : -5, .cache = i % 3 == 0 ? 0 : MIB,
		};
		struct blockz_pages *pages = filled(image, options);
		check_saved(pages, image, NULL, 0);
		check_saved(pages, image, raw, blockz_ranges_unite(raw, 2));
		blockz_pages_free(pages);
	}
}
END_TEST

/* By the programs that people have. */
START_TEST(others_read_it)
{
	struct bytes image = image_new(IMAGE_DISK, 2000001);
	struct blockz_range raw = { 300001, 900000 };
	struct blockz_pages *pages = filled(image, (struct blockz_pages_options){ .cache = MIB });
	struct bytes file = check_saved(pages, image, &raw, 1);
	const char *tmp = getenv("TMPDIR");
	char dir[PATH_MAX], command[2 * PATH_MAX + 200];
	snprintf(dir, sizeof(dir), "%s/blockz-save.XXXXXX", tmp != NULL ? tmp : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	for (int i = 0; i < 2; i++) {
		const struct bytes *bytes = i == 0 ? &image : &file;
		snprintf(command, sizeof(command), "%s/%s", dir, i == 0 ? "image" : "file.zst");
		FILE *to = fopen(command, "w");
		ck_assert_ptr_nonnull(to);
		ck_assert_uint_eq(fwrite(bytes->data, 1, bytes->len, to), bytes->len);
		ck_assert_int_eq(fclose(to), 0);
	}
	snprintf(command, sizeof(command),
		 "cd %s && zstd -q -t file.zst && zstd -q -dc file.zst | cmp - image && bsdcat file.zst | cmp - image", dir);
	int error = system(command);
	snprintf(command, sizeof(command), "rm -r %s", dir);
	ck_assert_int_eq(system(command), 0);
	ck_assert_int_eq(error, 0);
	blockz_pages_free(pages);
}
END_TEST

/* ---- Frames are copied ---- */

/* The frames that a store holds now; len 0 where a page is none. */
static struct bytes *frames_of(struct blockz_pages *pages, size_t count)
{
	struct bytes *frames = keep(count * sizeof(*frames));
	struct buffer out = { 0 };
	snapshot_begin(pages);
	for (size_t i = 0; i < count; i++) {
		enum snapshot_kind kind;
		uint64_t same;
		ck_assert_int_eq(snapshot_run(pages, i, &kind, &same, NULL), BLOCKZ_OK);
		if (kind != SNAPSHOT_FRAME)
			continue;
		size_t len = 0;
		ck_assert_int_eq(snapshot_frame(pages, i, &out, &len, NULL), BLOCKZ_OK);
		frames[i] = bytes_copy((struct bytes){ out.bytes, len });
	}
	snapshot_end(pages);
	buffer_free(&out);
	return frames;
}

/* What is in the file is what the store had, and nothing is encoded but what raw ranges have cut off. */
START_TEST(frames_are_copied)
{
	struct bytes image = image_new(IMAGE_TEXT, 100 * PAGE + 5000);
	struct blockz_range raw = { 20 * PAGE + 1, 30 * PAGE - 1 };
	struct blockz_pages *pages = pages_of((struct blockz_pages_options){ .size = image.len, .page_size = PAGE });
	write_pages(pages, image, 0, image.len);
	struct bytes *frames = frames_of(pages, 101);
	ck_assert_uint_ge(encoded, 101);
	encoded = 0;
	struct bytes file = check_saved(pages, image, &raw, 1);
	ck_assert_uint_eq(encoded, 2);
	struct seek_table table;
	size_t off = 0, copied = 0;
	uint64_t pos = 0;
	ck_assert(seek_table_find(file, &table));
	for (size_t i = 0; i < table.count; i++) {
		const struct seek_entry *entry = &table.entries[i];
		struct bytes frame = frames[pos / PAGE];
		bool whole = pos % PAGE == 0 && (entry->image_len == PAGE || pos + entry->image_len == image.len);
		if (whole && !is_raw(&raw, 1, pos)) {
			ck_assert_uint_gt(frame.len, 0);
			assert_bytes((struct bytes){ file.data + off, entry->file_len }, frame);
			copied++;
		}
		off += entry->file_len;
		pos += entry->image_len;
	}
	ck_assert_uint_eq(copied, 91);
	blockz_pages_free(pages);
}
END_TEST

/* ---- Raw ranges and incompressible pages can be patched ---- */

static void patch_and_check(struct bytes file, struct bytes image, struct blockz_range range)
{
	struct bytes edited = bytes_copy(image), patched = bytes_copy(file);
	complement(edited, range);
	patch_range(patched, false, edited, range);
	assert_reads(format_named("zstd"), patched, edited);
	assert_seek_table(patched, edited, true);
}

START_TEST(raw_ranges_are_patched)
{
	struct bytes image = image_new(IMAGE_DISK, 3 * MIB + 77);
	for (int i = 0; i < (few_rounds ? 3 : 15); i++) {
		struct blockz_range raw[5];
		for (size_t j = 0; j < 5; j++)
			raw[j] = rnd_range(image.len);
		size_t count = blockz_ranges_unite(raw, 5);
		struct blockz_pages *pages =
			filled(image, (struct blockz_pages_options){ .page_size = 4096u << rnd_below(7), .cache = 300000 });
		struct bytes file = check_saved(pages, image, raw, count);
		for (size_t j = 0; j < count; j++) {
			struct blockz_range part = rnd_range(raw[j].end - raw[j].start);
			patch_and_check(file, image, (struct blockz_range){ raw[j].start + part.start, raw[j].start + part.end });
		}
		blockz_pages_free(pages);
	}
}
END_TEST

START_TEST(incompressible_pages_are_patched)
{
	struct bytes image = bytes_join(image_new(IMAGE_TEXT, 10 * PAGE), image_new(IMAGE_NOISE, 10 * PAGE + 1));
	for (int layout = BLOCKZ_PAGES_COMPRESSED; layout <= BLOCKZ_PAGES_DIRECT; layout++) {
		struct blockz_pages_options options = { .page_size = PAGE, .layout = (enum blockz_pages_layout)layout };
		struct blockz_pages *pages = filled(image, options);
		struct bytes file = check_saved(pages, image, NULL, 0);
		ck_assert_uint_lt(file.len, 15 * PAGE);
		patch_and_check(file, image, (struct blockz_range){ 10 * PAGE, 20 * PAGE + 1 });
		blockz_pages_free(pages);
	}
}
END_TEST

START_TEST(ranges_beyond_the_image)
{
	static const struct blockz_range bad[] = { { 0, 100001 }, { 100001, BLOCKZ_UNKNOWN }, { 7, 6 } };
	struct blockz_range open = { 50000, BLOCKZ_UNKNOWN };
	struct bytes image = image_new(IMAGE_TEXT, 100000);
	struct blockz_pages *pages = filled(image, (struct blockz_pages_options){ .page_size = PAGE });
	for (size_t i = 0; i < 3; i++) {
		const struct blockz_pages_save_options options = { .raw = &bad[i], .raw_count = 1 };
		struct growing_sink sink = { .calls = 0 };
		struct blockz_sink out = growing_sink(&sink);
		struct blockz_pack_result result;
		ck_assert_int_eq(blockz_pages_save(pages, &out, &options, &result, NULL), BLOCKZ_USAGE);
		ck_assert_uint_eq(sink.calls, 0);
	}
	struct blockz_pack_result result;
	struct bytes file = save(pages, &open, 1, &result);
	ck_assert_uint_eq(result.raw_bytes, 50000);
	check_raw(file, image, (struct blockz_range[]){ { 50000, 100000 } }, 1);
	blockz_pages_free(pages);
}
END_TEST

/* By any format that can be written, also from a base that knows its holes, and as a stream. */
START_TEST(in_other_formats)
{
	const struct blockz_format *format = format_of(_i);
	struct bytes image = image_new(IMAGE_DISK, 3 * MIB + 77);
	memset(image.data + MIB, 0, MIB);
	const struct blockz_range raw = { 300001, 900000 };
	struct blockz_pages *pages = filled(image, (struct blockz_pages_options){ .cache = MIB });
	for (int i = 0; i < 2; i++) {
		const struct blockz_pages_save_options options = { .format = format->name, .raw = &raw, .raw_count = 1 };
		struct growing_sink sink = { .calls = 0 };
		struct blockz_sink out = i == 0 ? growing_sink_rewritable(&sink) : growing_sink(&sink);
		struct blockz_pack_result result;
		ck_assert_int_eq(blockz_pages_save(pages, &out, &options, &result, NULL), BLOCKZ_OK);
		ck_assert_uint_eq(result.raw_bytes, raw.end - raw.start);
		ck_assert(i != 0 || result.index_piece_size > 0 || !has_own_index(format));
		assert_reads(format, sink.bytes, image);
		check_raw(sink.bytes, image, &raw, 1);
	}
	const struct blockz_pages_save_options unknown = { .format = "lz77" };
	struct growing_sink sink = { .calls = 0 };
	struct blockz_sink out = growing_sink(&sink);
	struct blockz_pack_result result;
	ck_assert_int_eq(blockz_pages_save(pages, &out, &unknown, &result, NULL), BLOCKZ_USAGE);
	blockz_pages_free(pages);
}
END_TEST

int main(void)
{
	TCase *c = case_new("pagestore_save");
	tcase_add_loop_test(c, sizes_and_layouts, 0, 9);
	tcase_add_test(c, others_read_it);
	tcase_add_test(c, frames_are_copied);
	tcase_add_test(c, raw_ranges_are_patched);
	tcase_add_test(c, incompressible_pages_are_patched);
	tcase_add_test(c, ranges_beyond_the_image);
	case_add_formats(c, in_other_formats);
	return case_run("pagestore_save", c);
}
