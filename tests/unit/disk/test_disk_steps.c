/* SPDX-License-Identifier: BSD-3-Clause */
/* Pieces that a disk decodes no further than reads need: right bytes, or an error. */
#include <string.h>

#include "foreign_xz.h"
#include "random.h"
#include "range/map.h"
#include "served.h"

enum { PIECE = MIB, IMAGE = 3 * MIB + 4321, PAGE = 4096 };

static struct bytes text_file(struct bytes image)
{
	return xz_threaded(image, 1, LZMA_CHECK_CRC64, PIECE);
}

/* Reads go backwards, forwards, and over the edges of pieces; the cache holds few. */
START_TEST(reads_in_any_order)
{
	struct served served;
	struct bytes image = image_new(_i == 0 ? IMAGE_TEXT : IMAGE_DISK, IMAGE), out = bytes_new(IMAGE);
	served_prepare(&served, "xz", image, text_file(image));
	ck_assert_int_eq(served_open(&served, BLOCKZ_STORE_READ, BLOCKZ_COMMIT_CLOSE), BLOCKZ_OK);
	for (int round = 0; round < (few_rounds ? 50 : 200); round++) {
		struct blockz_range range = rnd_range(IMAGE);
		size_t len = (size_t)(range.end - range.start) % (rnd() % 8 == 0 ? MIB : PAGE) + 1;
		len = len < IMAGE - range.start ? len : (size_t)(IMAGE - range.start);
		ck_assert_int_eq(blockz_disk_read(served.disk, out.data, len, range.start, &served.fault), BLOCKZ_OK);
		assert_bytes((struct bytes){ out.data, len }, (struct bytes){ image.data + range.start, len });
	}
	assert_served(&served);
	served_close(&served);
	served_free(&served);
}
END_TEST

/*
 * A byte of the second Block is wrong.  Its pages are right, or not there at all: the last one always, for it is not read without
 * the Check.  All others are there.
 */
START_TEST(damage_is_served_as_an_error)
{
	struct bytes image = image_new(IMAGE_TEXT, IMAGE), good = text_file(image), page = bytes_new(PAGE);
	struct blockz_map *map = map_of(bytes_source(good), false);
	struct blockz_range block = { map->pieces[1].file_off, map->pieces[1].file_off + map->pieces[1].file_len };
	int failed = 0;
	blockz_map_free(map);
	for (int round = 0; round < (few_rounds ? 5 : 20); round++) {
		struct served served;
		struct bytes file = bytes_copy(good);
		file.data[block.start + rnd_below(block.end - block.start)] ^= (uint8_t)(1 << rnd_below(8));
		served_prepare(&served, "xz", image, file);
		ck_assert_int_eq(served_open(&served, BLOCKZ_STORE_READ, BLOCKZ_COMMIT_CLOSE), BLOCKZ_OK);
		for (uint64_t off = PIECE - PAGE; off <= 2 * PIECE; off += PAGE * (1 + rnd_below(16))) {
			enum blockz_status status = blockz_disk_read(served.disk, page.data, PAGE, off, &served.fault);
			failed += status != BLOCKZ_OK;
			if (status != BLOCKZ_OK)
				ck_assert(off >= PIECE && off < 2 * PIECE && status == BLOCKZ_DAMAGED);
			else
				assert_bytes(page, (struct bytes){ image.data + off, PAGE });
		}
		ck_assert_int_eq(blockz_disk_read(served.disk, page.data, PAGE, 2 * PIECE - PAGE, &served.fault), BLOCKZ_DAMAGED);
		served_close(&served);
		served_free(&served);
	}
	ck_assert_int_gt(failed, 0);
}
END_TEST

int main(void)
{
	TCase *tcase = case_new("disk_steps");
	tcase_add_loop_test(tcase, reads_in_any_order, 0, 2);
	tcase_add_test(tcase, damage_is_served_as_an_error);
	return case_run("disk_steps", tcase);
}
