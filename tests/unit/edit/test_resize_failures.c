/* SPDX-License-Identifier: BSD-3-Clause */
/* What fails while an image gets another size: each read of the file and of new data, each call of the scratch, each write. */
#include <errno.h>
#include <string.h>

#include "foreign.h"
#include "foreign_xz.h"
#include "foreign_zst.h"
#include "growing_store.h"
#include "images.h"

enum { PIECE = 64 * KIB, LEN = 4 * PIECE + 1000, CALLS_MAX = 2000 };

/* A file, its image, what that is to be, and all that can fail. */
struct scene {
	const char *format;
	struct bytes image, wanted, file;
	struct blockz_map *map;
	struct flaky_source source, data;
	struct growing_store scratch;
	struct growing_sink sink;
};

/* An own file, with a raw range, or one of another program that is a single long piece. */
static struct bytes make_file(const struct blockz_format *format, struct bytes image, bool own)
{
	const struct blockz_range raw = { PIECE + 20, PIECE + 30000 };
	if (own)
		return pack_image(format, image,
				  (struct blockz_pack_options){ .level = 2, .piece_size = PIECE, .raw = &raw, .raw_count = 1 }, NULL);
	if (strcmp(format->name, "gzip") == 0)
		return zlib_pack(image, 6, Z_DEFAULT_STRATEGY);
	return strcmp(format->name, "xz") == 0 ? xz_easy(image, 0, LZMA_CHECK_CRC64) : zst_compress(image, true, NULL, 0);
}

static void scene_init(struct scene *scene, const struct blockz_format *format, bool own, bool is_long, uint64_t size)
{
	*scene = (struct scene){ .format = format->name, .image = image_new(IMAGE_TEXT, is_long ? 33 * MIB : LEN) };
	if (is_long)
		memset(scene->image.data + LEN, 0, 33 * MIB - LEN);
	scene->wanted = bytes_new((size_t)size);
	memcpy(scene->wanted.data, scene->image.data, size < scene->image.len ? (size_t)size : scene->image.len);
	memcpy(scene->wanted.data + size - 100, scene->image.data, 50);
	scene->file = make_file(format, scene->image, own);
	scene->map = map_of(bytes_source(scene->file), false);
}

static void scene_reset(struct scene *scene)
{
	growing_store_free(&scene->scratch);
	scene->scratch = (struct growing_store){ .len = 0 };
	scene->source = (struct flaky_source){ .bytes = scene->file };
	scene->data = (struct flaky_source){ .bytes = scene->wanted };
	scene->sink = (struct growing_sink){ .calls = 0 };
}

static enum blockz_status scene_run(struct scene *scene, struct blockz_fault *fault)
{
	const struct blockz_source source = flaky_source(&scene->source);
	const struct blockz_store scratch = growing_store(&scene->scratch);
	const struct blockz_sink sink = growing_sink(&scene->sink);
	const uint64_t size = scene->wanted.len;
	const struct blockz_edit edit = { { size - 100, size - 50 }, flaky_source(&scene->data), size - 100, false };
	const struct blockz_anywhere how = {
		.resize = true, .image_size = size, .scratch = &scratch, .work = { .threads = 1 + (unsigned)rnd_below(2) },
	};
	struct blockz_plan *plan = NULL;
	enum blockz_status status = blockz_plan_anywhere(&source, scene->map, &edit, 1, &how, &plan, fault);
	ck_assert_int_eq(plan != NULL, status == BLOCKZ_OK);
	if (status == BLOCKZ_OK)
		status = blockz_plan_copy(plan, &source, &sink, fault);
	blockz_plan_free(plan);
	return status;
}

enum part { THE_FILE, NEW_DATA, SCRATCH, SINK, PARTS };

/* Each call of one part fails in turn, with a reason, until it succeeds. */
static unsigned fail_each(struct scene *scene, enum part part)
{
	for (unsigned n = 1; n < CALLS_MAX; n++) {
		struct blockz_fault fault = { .status = BLOCKZ_OK };
		scene_reset(scene);
		scene->source.fail_at = part == THE_FILE ? n : 0;
		scene->data.fail_at = part == NEW_DATA ? n : 0;
		scene->scratch.fail_at = part == SCRATCH ? n : 0;
		scene->sink.fail_at = part == SINK ? n : 0;
		enum blockz_status status = scene_run(scene, &fault);
		if (status == BLOCKZ_OK) {
			assert_decodes(scene->format, scene->sink.bytes, scene->wanted);
			return n - 1;
		}
		ck_assert_msg(status == BLOCKZ_FAILED, "part %d, call %u: status %d: %s", part, n, status, fault.text);
		ck_assert_msg(strstr(fault.text, strerror(EIO)) != NULL, "part %d, call %u: %s", part, n, fault.text);
		ck_assert_int_eq(fault.subject == BLOCKZ_ABOUT_EDIT, part == NEW_DATA);
		ck_assert_int_eq(fault.subject == BLOCKZ_ABOUT_OUTPUT, part == SINK);
	}
	ck_abort_msg("part %d: it never succeeds", part);
}

START_TEST(each_call_fails)
{
	static const uint64_t sizes[] = { PIECE + 2000, 2 * PIECE + 500, 7 * PIECE + 3 };
	for (int own = 0; own < 2; own++)
		for (size_t i = 0; i < 3; i++) {
			struct scene scene;
			scene_init(&scene, format_of(_i), own, false, sizes[i]);
			for (enum part part = THE_FILE; part < PARTS; part++)
				ck_assert_uint_gt(fail_each(&scene, part), 0);
			scene_reset(&scene);
			blockz_map_free(scene.map);
		}
}
END_TEST

/* What is left of a long piece goes through the scratch. */
START_TEST(the_scratch_fails_for_a_long_piece)
{
	struct scene scene;
	scene_init(&scene, format_of(_i), false, true, LEN - 500);
	ck_assert_uint_gt(fail_each(&scene, SCRATCH), 4);
	scene_reset(&scene);
	blockz_map_free(scene.map);
}
END_TEST

int main(void)
{
	TCase *c = case_new("resize_failures");
	case_add_formats(c, each_call_fails);
	case_add_formats(c, the_scratch_fails_for_a_long_piece);
	return case_run("resize_failures", c);
}
