/* SPDX-License-Identifier: BSD-3-Clause */
/* zlib stops at each block, and says at which bit. */
#include "walked.h"

#include <libdeflate.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "memory.h"
#include "random.h"

struct walker *walker;
struct walked walked, expected;

static void setup(void)
{
	ck_assert_int_eq(walker_new(&walker, NULL), BLOCKZ_OK);
}

static void teardown(void)
{
	walker_free(walker);
}

TCase *walk_case_new(const char *name)
{
	TCase *tcase = case_new(name);
	tcase_add_checked_fixture(tcase, setup, teardown);
	return tcase;
}

uint8_t *make_data(size_t len)
{
	uint8_t *data = malloc(len + 1);
	size_t n = 0;
	while (n < len) {
		size_t run = 1 + rnd() % (rnd() % 8 == 0 ? 3000 : 40);
		unsigned kind = rnd() % 16;
		size_t back = n == 0 ? 0 : 1 + rnd() % (n < 32768 ? n : 32768);
		for (; run > 0 && n < len; run--, n++) {
			if (kind < 8 && back > 0)
				data[n] = data[n - back];
			else if (kind < 14)
				data[n] = (uint8_t)("etaoin shrdlu\n.,"[rnd() % 4 * (rnd() % 4) % 16]);
			else if (kind == 14)
				data[n] = 0;
			else
				data[n] = (uint8_t)rnd();
		}
	}
	return data;
}

size_t zlib_stream(const uint8_t *data, size_t len, int level, int mem_level, int strategy, size_t flush_every,
		   uint8_t *out, size_t room)
{
	static const int kinds[] = { Z_NO_FLUSH, Z_PARTIAL_FLUSH, Z_SYNC_FLUSH, Z_FULL_FLUSH, Z_BLOCK };
	z_stream z = { .next_out = out, .avail_out = (uInt)room };
	ck_assert_int_eq(deflateInit2(&z, level, Z_DEFLATED, -15, mem_level, strategy), Z_OK);
	z.next_in = (uint8_t *)(uintptr_t)data;
	while (len > 0) {
		size_t n = flush_every < len ? flush_every : len;
		z.avail_in = (uInt)n;
		ck_assert_int_eq(deflate(&z, kinds[rnd() % 5]), Z_OK);
		ck_assert_uint_eq(z.avail_in, 0);
		len -= n;
	}
	ck_assert_int_eq(deflate(&z, Z_FINISH), Z_STREAM_END);
	size_t total = z.total_out;
	deflateEnd(&z);
	return total;
}

size_t libdeflate_stream(const uint8_t *data, size_t len, int level, uint8_t *out, size_t room)
{
	struct libdeflate_compressor *c = libdeflate_alloc_compressor(level);
	size_t got = libdeflate_deflate_compress(c, data, len, out, room);
	ck_assert_uint_gt(got, 0);
	libdeflate_free_compressor(c);
	return got;
}

static void blocks_of_zlib(const uint8_t *in, size_t len, struct walked *blocks)
{
	static uint8_t sink[1 << 16];
	z_stream z = { .next_in = (uint8_t *)(uintptr_t)in, .avail_in = (uInt)len };
	ck_assert_int_eq(inflateInit2(&z, -15), Z_OK);
	uint64_t bit = 0, out = 0;
	blocks->count = 0;
	blocks->ok = false;
	for (;;) {
		z.next_out = sink;
		z.avail_out = sizeof(sink);
		uInt avail_in = z.avail_in;
		int error = inflate(&z, Z_BLOCK);
		bool stuck = avail_in == z.avail_in && z.avail_out == sizeof(sink);
		if (error != Z_OK && error != Z_BUF_ERROR && error != Z_STREAM_END)
			break;
		/* A stop that consumed nothing is the one before, seen again. */
		if ((z.data_type & 128) && !(stuck && bit == z.total_in * 8 - (z.data_type & 7))) {
			struct walk_block *b = &blocks->block[blocks->count++];
			b->final = (z.data_type & 64) != 0;
			b->header_bit = bit;
			b->end_bit = bit = z.total_in * 8 - (unsigned)(z.data_type & 7);
			b->out_start = out;
			b->out_end = out = z.total_out;
			blocks->ok = b->final;
			if (b->final || blocks->count == MAX_BLOCKS)
				break;
		} else if (stuck) {
			break;
		}
	}
	inflateEnd(&z);
}

enum blockz_status walk_on(struct walked *blocks, struct blockz_fault *fault)
{
	blocks->count = 0;
	blocks->ok = false;
	while (blocks->count < MAX_BLOCKS) {
		struct walk_block *b = &blocks->block[blocks->count];
		enum blockz_status status = walker_next(walker, b, NULL, fault);
		if (status != BLOCKZ_OK)
			return status;
		blocks->count++;
		blocks->ok = b->final;
		if (b->final)
			break;
	}
	return BLOCKZ_OK;
}

enum blockz_status blocks_of_walker(const uint8_t *in, size_t len, struct walked *blocks)
{
	uint8_t *copy = malloc(len > 0 ? len : 1);
	memcpy(copy, in, len);
	walker_reset_memory(walker, copy, len);
	struct blockz_fault fault = { .status = BLOCKZ_OK };
	enum blockz_status status = walk_on(blocks, &fault);
	ck_assert_int_eq(fault.status, status);
	if (status != BLOCKZ_OK) {
		ck_assert_int_eq(status, BLOCKZ_DAMAGED);
		ck_assert_uint_le(fault.offset, len);
		ck_assert_uint_gt(strlen(fault.text), 0);
	}
	free(copy);
	return status;
}

void assert_same_edges(const struct walked *a, const struct walked *b)
{
	ck_assert_uint_eq(a->count, b->count);
	ck_assert_int_eq(a->ok, b->ok);
	for (size_t i = 0; i < a->count; i++) {
		ck_assert_uint_eq(a->block[i].header_bit, b->block[i].header_bit);
		ck_assert_uint_eq(a->block[i].end_bit, b->block[i].end_bit);
		ck_assert_uint_eq(a->block[i].out_start, b->block[i].out_start);
		ck_assert_uint_eq(a->block[i].out_end, b->block[i].out_end);
		ck_assert_int_eq(a->block[i].final, b->block[i].final);
	}
}

bool accepted_like_zlib(const uint8_t *in, size_t len)
{
	blocks_of_zlib(in, len, &expected);
	blocks_of_walker(in, len, &walked);
	assert_same_edges(&walked, &expected);
	return walked.ok;
}
