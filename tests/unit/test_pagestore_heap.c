/* SPDX-License-Identifier: BSD-3-Clause */
/* The heap of the page store against a model that keeps each string. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "memory.h"
#include "pagestore/heap.h"
#include "pagestore/place.h"
#include "random.h"

enum { STRINGS = 400 };

/* What was taken; bytes NULL: nothing. */
struct string {
	uint8_t *bytes;
	size_t len;
	uint32_t first;
};

static struct string strings[STRINGS];

static void take(struct heap *heap, struct string *string, size_t len)
{
	ck_assert_int_eq(heap_take(heap, len, &string->first, NULL), BLOCKZ_OK);
	string->len = len;
	string->bytes = malloc(len);
	ck_assert_ptr_nonnull(string->bytes);
	rnd_fill(string->bytes, len);
	heap_put(heap, string->first, 0, string->bytes, len);
}

static void give(struct heap *heap, struct string *string)
{
	heap_give(heap, string->first);
	free(string->bytes);
	*string = (struct string){ 0 };
}

static void put_part(struct heap *heap, struct string *string)
{
	size_t off = (size_t)rnd_below(string->len), len = (size_t)rnd_below(string->len - off + 1);
	bool zeros = rnd_below(4) == 0;
	if (zeros)
		memset(string->bytes + off, 0, len);
	else
		rnd_fill(string->bytes + off, len);
	heap_put(heap, string->first, off, zeros ? NULL : string->bytes + off, len);
}

static void check(const struct heap *heap, const struct string *string)
{
	static uint8_t found[HEAP_LEN_MAX];
	size_t off = (size_t)rnd_below(string->len), len = (size_t)rnd_below(string->len - off + 1);
	heap_get(heap, string->first, off, found, len);
	ck_assert_mem_eq(found, string->bytes + off, len);
	const uint8_t *looked = heap_look(heap, string->first, string->len);
	if (looked != NULL)
		ck_assert_mem_eq(looked, string->bytes, string->len);
}

/* From a byte to the longest, short ones more often. */
static size_t random_len(void)
{
	static const size_t limits[] = { 20, 300, 10000, 40000, HEAP_LEN_MAX };
	return 1 + (size_t)rnd_below(limits[rnd_below(5)]);
}

START_TEST(strings_keep_their_bytes)
{
	struct memory memory = { 0 };
	struct heap *heap = heap_new(&memory);
	ck_assert_ptr_nonnull(heap);
	for (int round = 0; round < (sanitized ? 5000 : 30000); round++) {
		struct string *string = &strings[rnd_below(STRINGS)];
		if (string->bytes == NULL)
			take(heap, string, random_len());
		else if (rnd_below(3) == 0)
			give(heap, string);
		else
			put_part(heap, string);
		if (string->bytes != NULL)
			check(heap, string);
		if (rnd_below(50) == 0)
			heap_trim(heap);
	}
	for (size_t i = 0; i < STRINGS; i++)
		if (strings[i].bytes != NULL) {
			check(heap, &strings[i]);
			give(heap, &strings[i]);
		}
	heap_free(heap);
	ck_assert_uint_eq(memory.used, 0);
	ck_assert_uint_gt(memory.peak, 0);
}
END_TEST

int main(void)
{
	TCase *c = case_new("pagestore_heap");
	tcase_add_test(c, strings_keep_their_bytes);
	return case_run("pagestore_heap", c);
}
