/* SPDX-License-Identifier: BSD-3-Clause */
/* Each allocation of an edit inside a deflate stream fails in turn, alone and with all that follow. */
#include <string.h>

#include "foreign.h"
#include "format/deflate/splice.h"
#include "range/map.h"
#include "short_memory.h"

enum { LEN = 400000, ROOM = 2 * LEN };

static struct bytes image, edited, file, out;
static struct blockz_source source;
static struct blockz_map *map;
static const struct blockz_range ranges[] = { { 1000, 1100 }, { 200000, 280000 } };
static size_t pos, out_len;
static bool keep_length, done;

static enum blockz_status lay_over(void *ctx, uint8_t *bytes, size_t len, uint64_t off, struct blockz_fault *fault)
{
	(void)ctx;
	(void)fault;
	memcpy(bytes, edited.data + off, len);
	return BLOCKZ_OK;
}

static void put(const void *bytes, size_t len)
{
	memcpy(out.data + out_len, bytes, len);
	out_len += len;
}

static enum blockz_status replace(void *ctx, struct blockz_range old, const uint8_t *bytes, size_t len,
				  struct blockz_fault *fault)
{
	(void)ctx;
	(void)fault;
	put(file.data + pos, old.start - pos);
	put(bytes, len);
	pos = old.end;
	return BLOCKZ_OK;
}

static enum blockz_status changed(void *ctx, uint64_t off, const uint8_t *old, const uint8_t *new, size_t len,
				  struct blockz_fault *fault)
{
	(void)ctx;
	(void)off;
	(void)old;
	(void)new;
	(void)len;
	(void)fault;
	return BLOCKZ_OK;
}

static void fresh(void)
{
	pos = out_len = 0;
}

static enum blockz_status run(struct blockz_fault *fault)
{
	const struct piece_edit edit = {
		.file = &source, .map = map, .ranges = ranges, .count = 2, .keep_length = keep_length,
		.lay_over = lay_over, .replace = replace, .changed = changed,
	};
	return deflate_splice(&edit, &done, fault);
}

static bool is_right(void)
{
	uint32_t crc = (uint32_t)crc32_z(0, edited.data, edited.len);
	put(file.data + pos, file.len - pos);
	for (size_t i = 0; i < 4; i++)
		out.data[out_len - 8 + i] = (uint8_t)(crc >> 8 * i);
	return done && judge_says("gzip", (struct bytes){ out.data, out_len }, edited);
}

static const struct operation operation = { .name = "splice", .prepare = fresh, .run = run, .is_right = is_right };

START_TEST(each_allocation_fails)
{
	image = image_new(IMAGE_TEXT, LEN);
	edited = bytes_copy(image);
	for (size_t i = 0; i < 2; i++)
		memmove(edited.data + ranges[i].start, image.data + ranges[i].start + 20, ranges[i].end - ranges[i].start);
	file = zlib_pack(image, 1, Z_DEFAULT_STRATEGY);
	out = bytes_new(ROOM);
	source = bytes_source(file);
	map = map_of(source, true);
	keep_length = _i / 2 != 0;
	fail_allocations(&operation, keep_length ? "its length kept" : "any length", _i % 2 != 0);
	blockz_map_free(map);
}
END_TEST

int main(void)
{
	TCase *tcase = case_new("nomem_splice");
	tcase_add_loop_test(tcase, each_allocation_fails, 0, 4);
	return case_run("nomem_splice", tcase);
}
