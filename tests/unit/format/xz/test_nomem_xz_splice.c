/* SPDX-License-Identifier: BSD-3-Clause */
/* Each allocation of an edit inside of an xz Block fails in turn, alone and with all that follow. */
#include <string.h>

#include "foreign_xz.h"
#include "format/formats.h"
#include "short_memory.h"

enum { LEN = 100000, ROOM = 1 << 20 };

static const lzma_check checks[] = { LZMA_CHECK_CRC64, LZMA_CHECK_SHA256 };
static const struct blockz_range range = { 70000, 70100 };
static struct bytes file, expected;
static struct blockz_source source;
static struct blockz_map *map;
static struct fixed_sink replaced;
static bool done;

/* What is called while memory is short asserts nothing, as that would need some. */
static enum blockz_status lay_over(void *ctx, uint8_t *bytes, size_t len, uint64_t off, struct blockz_fault *fault)
{
	(void)ctx, (void)off, (void)fault;
	memset(bytes, 'x', len);
	return BLOCKZ_OK;
}

static enum blockz_status replace(void *ctx, struct blockz_range old, const uint8_t *bytes, size_t len,
				  struct blockz_fault *fault)
{
	(void)ctx, (void)old, (void)fault;
	if (len <= ROOM - replaced.len)
		memcpy(replaced.room.data + replaced.len, bytes, len);
	replaced.len += len;
	return BLOCKZ_OK;
}

static enum blockz_status changed(void *ctx, uint64_t off, const uint8_t *old, const uint8_t *new, size_t len,
				  struct blockz_fault *fault)
{
	(void)ctx, (void)off, (void)old, (void)new, (void)len, (void)fault;
	return BLOCKZ_OK;
}

static void fresh(void)
{
	replaced.len = 0;
}

static enum blockz_status splice(struct blockz_fault *fault)
{
	uint64_t tag = 0;
	const struct piece_edit edit = {
		.file = &source, .map = map, .ranges = &range, .count = 1, .tag_ret = &tag, .lay_over = lay_over,
		.replace = replace, .changed = changed,
	};
	done = false;
	return format_xz.splice(&edit, &done, fault);
}

static bool is_as_ever(void)
{
	return done && replaced.len == expected.len && memcmp(replaced.room.data, expected.data, expected.len) == 0;
}

static const struct operation operation = {
	.name = "edit inside", .prepare = fresh, .run = splice, .is_right = is_as_ever,
};

START_TEST(each_allocation_fails)
{
	file = xz_easy(image_new(IMAGE_TEXT, LEN), 2, checks[_i / 2]);
	source = bytes_source(file);
	map = map_of(source, false);
	replaced = (struct fixed_sink){ .room = bytes_new(ROOM) };
	ck_assert_int_eq(splice(NULL), BLOCKZ_OK);
	ck_assert(replaced.len > 0 && replaced.len <= ROOM);
	expected = bytes_copy((struct bytes){ replaced.room.data, replaced.len });
	fail_allocations(&operation, "xz", _i % 2 != 0);
	blockz_map_free(map);
}
END_TEST

int main(void)
{
	TCase *c = case_new("nomem_xz_splice");
	tcase_add_loop_test(c, each_allocation_fails, 0, 4);
	return case_run("nomem_xz_splice", c);
}
