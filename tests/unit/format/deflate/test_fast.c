/* SPDX-License-Identifier: BSD-3-Clause */
/* The fastest level makes the same of a piece wherever its compressor lies in memory. */
#include <string.h>

#include "format/deflate/fast.h"
#include "memory.h"
#include "random.h"

enum { PIECE = 2048, PIECES = 1024, COMPRESSORS = 64 };

/* Noise, which soon repeats: the first bytes of it are found again if nothing took their place in the hash table. */
static struct bytes repeated_noise(void)
{
	struct bytes bytes = bytes_new(PIECE);
	rnd_fill(bytes.data, PIECE);
	memcpy(bytes.data + 100, bytes.data, 100);
	return bytes;
}

START_TEST(all_compressors_make_the_same)
{
	struct fast_deflate *fast[COMPRESSORS];
	struct bytes first = bytes_new(2 * PIECE), other = bytes_new(2 * PIECE);
	if (!fast_deflate_built_in)
		return;
	for (size_t i = 0; i < COMPRESSORS; i++)
		ck_assert_ptr_nonnull(fast[i] = fast_deflate_new());
	for (size_t p = 0; p < (few_rounds ? PIECES / 8 : PIECES); p++) {
		const struct kept *mark = kept_so_far();
		struct bytes piece = repeated_noise();
		size_t len = fast_deflate_piece(fast[0], piece.data, PIECE, first.data, first.len);
		ck_assert_uint_gt(len, 0);
		for (size_t i = 1; i < COMPRESSORS; i++) {
			ck_assert_uint_eq(fast_deflate_piece(fast[i], piece.data, PIECE, other.data, other.len), len);
			ck_assert_mem_eq(other.data, first.data, len);
		}
		forget_since(mark);
	}
	for (size_t i = 0; i < COMPRESSORS; i++)
		fast_deflate_free(fast[i]);
}
END_TEST

int main(void)
{
	TCase *tcase = case_new("fast");
	tcase_add_test(tcase, all_compressors_make_the_same);
	return case_run("fast", tcase);
}
