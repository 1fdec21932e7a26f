/* SPDX-License-Identifier: BSD-3-Clause */
/* Page stores that are saved over the file that they started from: pieces without a write stand in it as they did. */
#include <string.h>

#include "blockz_pages.h"
#include "damage.h"
#include "foreign.h"
#include "foreign_xz.h"
#include "foreign_zst.h"
#include "growing_store.h"
#include "range/map.h"

enum { PAGE = 8192, LEN = 3 * MIB + 70001 };

static const struct blockz_range raw[] = { { 300000, 500000 }, { 2 * MIB, 2 * MIB + 4096 } };

/* Text, zeros and what does not compress. */
static struct bytes new_image(void)
{
	struct bytes image = image_new(IMAGE_TEXT, LEN);
	memset(image.data + MIB, 0, MIB / 2 + 12345);
	rnd_fill(image.data + 2 * MIB - 100000, 200000);
	return image;
}

static struct bytes our_file(const struct blockz_format *format, struct bytes image)
{
	const struct blockz_pack_options options = { .level = 1, .piece_size = format->piece_size_min, .raw = raw, .raw_count = 2 };
	return pack_image(format, image, options, NULL);
}

/* One piece, or a few. */
static struct bytes foreign_file(const struct blockz_format *format, struct bytes image)
{
	if (strcmp(format->name, "gzip") == 0)
		return zlib_pack(image, 6, Z_DEFAULT_STRATEGY);
	return strcmp(format->name, "xz") == 0 ? xz_threaded(image, 2, LZMA_CHECK_CRC64, MIB) : zst_compress(image, true, NULL, 0);
}

/* ---- A store, and the file it started from ---- */

struct scene {
	const struct blockz_format *format;
	struct bytes file, image; /* the image as the store has it by now */
	struct blockz_source base;
	struct blockz_pages *pages;
};

/* bytes NULL: zeros. */
static void write_to(struct scene *scene, struct blockz_range range, const uint8_t *bytes)
{
	size_t len = (size_t)(range.end - range.start);
	ck_assert_int_eq(blockz_pages_write(scene->pages, bytes, len, range.start, NULL), BLOCKZ_OK);
	if (bytes == NULL)
		memset(scene->image.data + range.start, 0, len);
	else
		memcpy(scene->image.data + range.start, bytes, len);
}

/* Without a base the store is filled with the image. */
static void scene_init(struct scene *scene, const struct blockz_format *format, struct bytes file, struct bytes image,
		       bool has_base)
{
	*scene = (struct scene){ .format = format, .file = file, .image = bytes_copy(image), .base = bytes_source(image) };
	const struct blockz_pages_options options = {
		.size = image.len, .page_size = PAGE, .layout = (enum blockz_pages_layout)rnd_below(3), .cache = MIB,
		.base = has_base ? &scene->base : NULL,
	};
	ck_assert_int_eq(blockz_pages_new(&options, &scene->pages, NULL), BLOCKZ_OK);
	if (!has_base)
		write_to(scene, (struct blockz_range){ 0, image.len }, image.data);
}

static enum blockz_status splice_to(const struct scene *scene, struct growing_sink *sink, struct growing_store *scratch,
				    struct blockz_plan_info *info_ret, struct blockz_fault *fault)
{
	struct blockz_source file = bytes_source(scene->file);
	struct blockz_map *map = map_of(file, false);
	struct blockz_store store = growing_store(scratch);
	struct blockz_sink out = growing_sink(sink);
	const struct blockz_pages_origin origin = {
		.file = &file, .map = map, .scratch = &store, .work = { .threads = 1 + (unsigned)rnd_below(3) },
	};
	enum blockz_status status = blockz_pages_splice(scene->pages, &origin, &out, info_ret, fault);
	blockz_map_free(map);
	growing_store_free(scratch);
	return status;
}

static enum blockz_status splice(const struct scene *scene, struct bytes *file_ret, struct blockz_plan_info *info_ret,
				 struct blockz_fault *fault)
{
	struct growing_sink sink = { .calls = 0 };
	struct growing_store scratch = { .len = 0 };
	enum blockz_status status = splice_to(scene, &sink, &scratch, info_ret, fault);
	*file_ret = sink.bytes;
	return status;
}

/* ---- What it makes ---- */

static bool is_apart(const struct blockz_range *written, size_t count, uint64_t start, uint64_t end)
{
	for (size_t i = 0; i < count; i++)
		if (start < (written[i].end + PAGE - 1) / PAGE * PAGE && written[i].start / PAGE * PAGE < end)
			return false;
	return true;
}

/* Each piece that no page lies in which was written to stands in the new file as it did; returns how many. */
static size_t check_verbatim(const struct scene *scene, struct bytes file, const struct blockz_range *written, size_t count)
{
	struct blockz_map *old = map_of(bytes_source(scene->file), false), *new = map_of(bytes_source(file), false);
	size_t checked = 0;
	for (size_t i = 0; i < old->piece_count; i++) {
		const struct piece *piece = &old->pieces[i], *now = &new->pieces[map_find_piece(new, piece->start)];
		if (piece->copies > 1 || !is_apart(written, count, piece->start, map_piece_end(old, i)))
			continue;
		ck_assert_uint_eq(now->start, piece->start);
		assert_bytes((struct bytes){ file.data + now->file_off, (size_t)now->file_len },
			     (struct bytes){ scene->file.data + piece->file_off, (size_t)piece->file_len });
		checked++;
	}
	blockz_map_free(old);
	blockz_map_free(new);
	return checked;
}

/* Splices, and has it judged. */
static struct bytes check_spliced(const struct scene *scene, const struct blockz_range *written, size_t count)
{
	struct bytes file;
	struct blockz_plan_info info;
	struct blockz_fault fault = { .text = "" };
	ck_assert_msg(splice(scene, &file, &info, &fault) == BLOCKZ_OK, "%s", fault.text);
	ck_assert_uint_eq(info.file_size, file.len);
	ck_assert(info.is_splice);
	assert_decodes(scene->format->name, file, scene->image);
	assert_verifies(file);
	ck_assert_uint_gt(check_verbatim(scene, file, written, count), 0);
	return file;
}

static struct blockz_range write_randomly(struct scene *scene)
{
	static const uint64_t lengths[] = { 1, 700, PAGE, 100000 };
	struct bytes noise = bytes_new(100000);
	uint64_t len = lengths[rnd_below(4)], start = rnd_below(scene->image.len - len);
	rnd_fill(noise.data, noise.len);
	struct blockz_range range = { start, start + len };
	write_to(scene, range, rnd_below(3) == 0 ? NULL : noise.data);
	return range;
}

START_TEST(what_was_written_is_encoded_and_nothing_else)
{
	const struct blockz_format *format = format_of(_i);
	struct bytes image = new_image(), file = our_file(format, image);
	for (int round = 0; round < (few_rounds ? 4 : 12); round++) {
		struct scene scene;
		struct blockz_range written[4];
		scene_init(&scene, format, file, image, round % 4 != 0);
		for (size_t i = 0; i < 3; i++)
			written[i] = write_randomly(&scene);
		check_spliced(&scene, written, 3);
		/* Once more, with more. */
		written[3] = write_randomly(&scene);
		check_spliced(&scene, written, 4);
		blockz_pages_free(scene.pages);
	}
}
END_TEST

START_TEST(raw_ranges_stay_raw)
{
	const struct blockz_format *format = format_of(_i);
	struct bytes image = new_image();
	struct scene scene;
	scene_init(&scene, format, our_file(format, image), image, true);
	struct bytes noise = bytes_new(5000);
	rnd_fill(noise.data, noise.len);
	const struct blockz_range written[] = { { 310000, 315000 }, { MIB + 5, MIB + 10 } };
	write_to(&scene, written[0], noise.data);
	write_to(&scene, written[1], noise.data);
	struct bytes file = check_spliced(&scene, written, 2);
	for (size_t i = 0; i < 2; i++) {
		struct bytes edited = bytes_copy(scene.image), patched = bytes_copy(file);
		complement(edited, raw[i]);
		patch_range(patched, false, edited, raw[i]);
		assert_decodes(format->name, patched, edited);
	}
	blockz_pages_free(scene.pages);
}
END_TEST

/* Also where the same bytes were written again. */
START_TEST(without_a_change_it_is_the_same_file)
{
	const struct blockz_format *format = format_of(_i);
	struct bytes image = new_image(), files[] = { our_file(format, image), foreign_file(format, image) };
	for (size_t i = 0; i < 6; i++) {
		struct scene scene;
		struct bytes file;
		struct blockz_plan_info info;
		scene_init(&scene, format, files[i % 2], image, i < 4);
		if (i >= 2)
			write_to(&scene, (struct blockz_range){ MIB - 5000, 2 * MIB + 7 }, image.data + MIB - 5000);
		ck_assert_int_eq(splice(&scene, &file, &info, NULL), BLOCKZ_OK);
		ck_assert_uint_eq(info.writes, 0);
		assert_bytes(file, files[i % 2]);
		blockz_pages_free(scene.pages);
	}
}
END_TEST

/* How many bytes two files have in common before their last `skip` ones, at the ends of what is before these. */
static size_t common_tail(struct bytes a, struct bytes b, size_t skip)
{
	size_t len = 0;
	while (skip + len < a.len && skip + len < b.len && a.data[a.len - 1 - skip - len] == b.data[b.len - 1 - skip - len])
		len++;
	return len;
}

/* The same at their beginnings, and behind: the checks at the end of a file are not the same. */
static size_t common(struct bytes a, struct bytes b)
{
	enum { ENDS_MAX = 300 };
	size_t head = 0, tail = 0;
	while (head < a.len && head < b.len && a.data[head] == b.data[head])
		head++;
	for (size_t skip = 0; skip < ENDS_MAX; skip++) {
		size_t len = common_tail(a, b, skip);
		tail = len > tail ? len : tail;
	}
	return head + tail;
}

START_TEST(foreign_files)
{
	const struct blockz_format *format = format_of(_i);
	struct bytes image = image_new(IMAGE_DISK, 6 * MIB), file = foreign_file(format, image);
	for (int has_base = 0; has_base < 2; has_base++) {
		struct scene scene;
		struct bytes spliced;
		struct blockz_plan_info info;
		struct blockz_fault fault = { .text = "" };
		scene_init(&scene, format, file, image, has_base != 0);
		write_to(&scene, (struct blockz_range){ 2 * MIB + 5, 2 * MIB + 305 }, image.data);
		ck_assert_msg(splice(&scene, &spliced, &info, &fault) == BLOCKZ_OK, "%s", fault.text);
		assert_decodes(format->name, spliced, scene.image);
		assert_verifies(spliced);
		ck_assert_uint_gt(common(file, spliced), file.len / 2);
		blockz_pages_free(scene.pages);
	}
}
END_TEST

/* ---- Damage, and what cannot be ---- */

START_TEST(damage_is_copied_or_refused)
{
	const struct blockz_format *format = format_of(_i);
	struct bytes image = new_image(), good = our_file(format, image);
	struct blockz_map *map = map_of(bytes_source(good), false);
	const struct piece *piece = &map->pieces[map_find_piece(map, MIB - 1)];
	struct bytes bad = bytes_flipped(good, (piece->file_off + piece->file_len / 2) * 8);
	const uint64_t in_it = piece->start + 3;
	blockz_map_free(map);
	ck_assert(!is_good(format->name, bad));

	struct scene scene;
	struct growing_sink sink = { .calls = 0 };
	struct growing_store scratch = { .len = 0 };
	struct blockz_plan_info info;
	struct blockz_fault fault;
	scene_init(&scene, format, bad, image, true);
	write_to(&scene, (struct blockz_range){ 100, 200 }, image.data + MIB / 2);
	ck_assert_int_eq(splice_to(&scene, &sink, &scratch, &info, &fault), BLOCKZ_OK);
	ck_assert(!is_good(format->name, sink.bytes));

	sink = (struct growing_sink){ .calls = 0 };
	scratch = (struct growing_store){ .len = 0 };
	write_to(&scene, (struct blockz_range){ in_it, in_it + 100 }, image.data + MIB / 2);
	ck_assert_int_eq(splice_to(&scene, &sink, &scratch, &info, &fault), BLOCKZ_DAMAGED);
	ck_assert_uint_eq(sink.calls, 0);
	/* And the store can be written to again. */
	write_to(&scene, (struct blockz_range){ 0, LEN }, image.data);
	blockz_pages_free(scene.pages);
}
END_TEST

START_TEST(sizes_have_to_be_equal)
{
	const struct blockz_format *format = format_of(_i);
	struct bytes image = new_image(), longer = bytes_join(image, bytes_new(PAGE)), file;
	struct scene scene;
	struct blockz_plan_info info;
	scene_init(&scene, format, our_file(format, image), longer, true);
	ck_assert_int_eq(splice(&scene, &file, &info, NULL), BLOCKZ_USAGE);
	ck_assert_uint_eq(file.len, 0);
	blockz_pages_free(scene.pages);
}
END_TEST

/* Each write to the sink, and each call of the scratch. */
START_TEST(what_fails)
{
	const struct blockz_format *format = format_of(_i);
	struct bytes image = new_image();
	struct scene scene;
	struct blockz_plan_info info;
	scene_init(&scene, format, our_file(format, image), image, true);
	write_to(&scene, (struct blockz_range){ 5, 5000 }, image.data + MIB / 2);
	write_to(&scene, (struct blockz_range){ 2 * MIB, 2 * MIB + MIB / 2 }, NULL);
	for (int which = 0; which < 2; which++) {
		enum blockz_status status = BLOCKZ_FAILED;
		unsigned fail_at;
		for (fail_at = 1; status != BLOCKZ_OK; fail_at++) {
			struct growing_sink sink = { .fail_at = which == 0 ? fail_at : 0 };
			struct growing_store scratch = { .fail_at = which == 1 ? fail_at : 0 };
			status = splice_to(&scene, &sink, &scratch, &info, NULL);
			ck_assert(status == BLOCKZ_OK || status == BLOCKZ_FAILED);
			if (status == BLOCKZ_OK)
				assert_decodes(format->name, sink.bytes, scene.image);
		}
		ck_assert_uint_gt(fail_at, 2);
	}
	blockz_pages_free(scene.pages);
}
END_TEST

int main(void)
{
	TCase *c = case_new("pagestore_splice");
	case_add_formats(c, what_was_written_is_encoded_and_nothing_else);
	case_add_formats(c, raw_ranges_stay_raw);
	case_add_formats(c, without_a_change_it_is_the_same_file);
	case_add_formats(c, foreign_files);
	case_add_formats(c, damage_is_copied_or_refused);
	case_add_formats(c, sizes_have_to_be_equal);
	case_add_formats(c, what_fails);
	return case_run("pagestore_splice", c);
}
