/* SPDX-License-Identifier: BSD-3-Clause */
/* Pages to frames and back: what does not pay, frames as format/zstd reads them, contexts that are short. */
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "format/zstd/frame.h"
#include "images.h"
#include "pagestore/page_codec.h"
#include "random.h"

enum { THREADS = 8, ROUNDS = 200, CONTEXTS = 2 };

static const uint32_t page_sizes[] = { 4 * KIB, 32 * KIB, 256 * KIB };

static struct memory memory;

static struct page_codec *new_codec(uint32_t page_size, int level)
{
	struct page_codec *codec = NULL;
	struct blockz_fault fault = { .text = "" };
	enum blockz_status status = page_codec_new(&memory, page_size, level, CONTEXTS, &codec, &fault);
	ck_assert_msg(status == BLOCKZ_OK, "%s", fault.text);
	return codec;
}

START_TEST(frames_are_like_those_of_the_format)
{
	uint32_t page_size = page_sizes[_i % 3];
	struct page_codec *codec = new_codec(page_size, _i < 3 ? 3 : -1);
	struct page_context *context = page_codec_take(codec);
	struct bytes text = image_new(IMAGE_TEXT, page_size), back = bytes_new(page_size);
	for (size_t len = page_size; len > 1000; len = len * 2 / 3) {
		size_t frame_len = page_codec_encode(codec, context, text.data, len);
		ck_assert_uint_gt(frame_len, 0);
		ck_assert_uint_le(frame_len, len - len / 64);
		struct frame_header header;
		ck_assert_int_eq(frame_walk(context->frame, frame_len, 0, &header, NULL), BLOCKZ_OK);
		ck_assert_uint_eq(header.content_size, len);
		ck_assert(header.checksum);
		ck_assert_int_eq(page_codec_decode(context, context->frame, frame_len, back.data, len, 0, NULL), BLOCKZ_OK);
		assert_bytes((struct bytes){ back.data, len }, (struct bytes){ text.data, len });
		memset(back.data, 0, len);
		ck_assert_uint_eq(ZSTD_decompress(back.data, len, context->frame, frame_len), len); /* by its checksum */
		assert_bytes((struct bytes){ back.data, len }, (struct bytes){ text.data, len });
	}
	page_codec_give(codec, context);
	page_codec_free(codec);
	ck_assert_uint_eq(memory.used, 0);
}
END_TEST

START_TEST(what_does_not_pay_is_refused)
{
	uint32_t page_size = page_sizes[_i];
	struct page_codec *codec = new_codec(page_size, 3);
	struct page_context *context = page_codec_take(codec);
	struct bytes page = bytes_new(page_size);
	rnd_fill(page.data, page.len);
	ck_assert_uint_eq(page_codec_encode(codec, context, page.data, page.len), 0);
	memset(page.data, 0, page.len / 100);
	ck_assert_uint_eq(page_codec_encode(codec, context, page.data, page.len), 0);
	memset(page.data, 0, page.len / 16);
	ck_assert_uint_gt(page_codec_encode(codec, context, page.data, page.len), 0);
	page_codec_give(codec, context);
	page_codec_free(codec);
	codec = new_codec(page_size, 0);
	context = page_codec_take(codec);
	ck_assert_uint_eq(page_codec_encode(codec, context, page.data, page.len), 0);
	ck_assert_ptr_null(context->frame);
	page_codec_give(codec, context);
	page_codec_free(codec);
}
END_TEST

START_TEST(what_is_no_frame_of_the_page_is_refused)
{
	struct page_codec *codec = new_codec(4 * KIB, 3);
	struct page_context *context = page_codec_take(codec);
	struct bytes page = image_new(IMAGE_TEXT, 4 * KIB);
	size_t len = page_codec_encode(codec, context, page.data, page.len);
	struct blockz_fault fault;
	ck_assert_int_eq(page_codec_decode(context, context->frame, len, page.data, page.len / 2, 77, &fault),
			 BLOCKZ_DAMAGED);
	ck_assert_int_eq(page_codec_decode(context, context->frame, len - 1, page.data, page.len, 77, &fault),
			 BLOCKZ_DAMAGED);
	context->frame[0] ^= 1;
	ck_assert_int_eq(page_codec_decode(context, context->frame, len, page.data, page.len, 77, &fault), BLOCKZ_DAMAGED);
	ck_assert_uint_eq(fault.offset, 77);
	page_codec_give(codec, context);
	page_codec_free(codec);
}
END_TEST

/* ---- More threads than contexts ---- */

static atomic_int out, wrong;

static void *take_and_give(void *ctx)
{
	struct page_codec *codec = ctx;
	for (int i = 0; i < ROUNDS; i++) {
		struct page_context *context = page_codec_take(codec);
		if (atomic_fetch_add(&out, 1) >= CONTEXTS || page_codec_encode(codec, context, context->page, 4 * KIB) == 0)
			atomic_fetch_add(&wrong, 1);
		atomic_fetch_sub(&out, 1);
		page_codec_give(codec, context);
	}
	return NULL;
}

START_TEST(threads_wait_for_contexts)
{
	struct page_codec *codec = new_codec(4 * KIB, 1);
	uint64_t one = memory.used;
	memory.max = _i == 0 ? 0 : one; /* then there is one context, for want of memory */
	pthread_t threads[THREADS];
	for (int i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, take_and_give, codec), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	ck_assert_int_eq(wrong, 0);
	ck_assert_uint_le(memory.peak, _i == 0 ? CONTEXTS * one : one);
	page_codec_free(codec);
	ck_assert_uint_eq(memory.used, 0);
}
END_TEST

START_TEST(one_context_rests)
{
	struct page_codec *codec = new_codec(4 * KIB, 1);
	uint64_t one = memory.used;
	struct page_context *first = page_codec_take(codec), *second = page_codec_take(codec);
	ck_assert_uint_gt(memory.used, one);
	page_codec_rest(codec); /* both are out */
	ck_assert_uint_gt(memory.used, one);
	page_codec_give(codec, first);
	page_codec_rest(codec); /* one is */
	ck_assert_uint_eq(memory.used, one);
	page_codec_give(codec, second);
	page_codec_rest(codec);
	ck_assert_uint_eq(memory.used, one);
	first = page_codec_take(codec);
	second = page_codec_take(codec); /* is made anew */
	ck_assert_uint_gt(page_codec_encode(codec, second, second->page, 4 * KIB), 0);
	page_codec_give(codec, first);
	page_codec_give(codec, second);
	page_codec_free(codec);
	ck_assert_uint_eq(memory.used, 0);
}
END_TEST

START_TEST(one_context_is_made_or_nothing)
{
	struct page_codec *codec = NULL;
	struct blockz_fault fault;
	enum blockz_status status = BLOCKZ_LIMIT;
	for (memory.max = 1; status != BLOCKZ_OK; memory.max += 10000) {
		status = page_codec_new(&memory, 32 * KIB, 3, 1, &codec, &fault);
		ck_assert(status == BLOCKZ_OK || (status == BLOCKZ_LIMIT && memory.used == 0));
	}
	page_codec_free(codec);
	ck_assert_uint_eq(memory.used, 0);
}
END_TEST

int main(void)
{
	TCase *c = case_new("page_codec");
	tcase_add_loop_test(c, frames_are_like_those_of_the_format, 0, 6);
	tcase_add_loop_test(c, what_does_not_pay_is_refused, 0, 3);
	tcase_add_test(c, what_is_no_frame_of_the_page_is_refused);
	tcase_add_loop_test(c, threads_wait_for_contexts, 0, 2);
	tcase_add_test(c, one_context_rests);
	tcase_add_test(c, one_context_is_made_or_nothing);
	return case_run("page_codec", c);
}
