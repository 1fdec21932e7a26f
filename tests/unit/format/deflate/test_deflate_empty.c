/* SPDX-License-Identifier: BSD-3-Clause */
/* Empty blocks fill every number of bits but a few small ones, from each bit of a byte, and decoders pass over them. */
#include <libdeflate.h>
#include <string.h>
#include <zlib.h>

#include "format/deflate/empty.h"
#include "memory.h"

enum { LEAST = 250 }; /* from there on all is possible */

/* A fixed block of literals, as many bits as lead to that phase: each of those from 144 on takes 9 bits. */
static void put_block(struct bits *bits, unsigned phase, size_t *len_ret)
{
	size_t len = 0;
	bits_put(bits, 1 << 1, 3);
	while ((bits->count + 7) % 8 != phase || len == 0) {
		unsigned code = 0x190 + 200 - 144;
		for (int i = 8; i >= 0; i--)
			bits_put(bits, code >> i & 1, 1);
		len++;
	}
	bits_put(bits, 0, 7);
	*len_ret = len;
}

static void assert_decodes_to(const struct bits *bits, uint8_t value, size_t len)
{
	uint8_t out[64], expected[64];
	memset(expected, value, sizeof(expected));
	z_stream z = { .next_in = bits->bytes, .avail_in = (uInt)bits_len(bits), .next_out = out, .avail_out = sizeof(out) };
	ck_assert_int_eq(inflateInit2(&z, -15), Z_OK);
	ck_assert_int_eq(inflate(&z, Z_FINISH), Z_STREAM_END);
	ck_assert_uint_eq(z.avail_in, 0);
	ck_assert_uint_eq(z.total_out, len);
	ck_assert_mem_eq(out, expected, len);
	inflateEnd(&z);

	struct libdeflate_decompressor *decompressor = libdeflate_alloc_decompressor();
	size_t used, made;
	ck_assert_int_eq(libdeflate_deflate_decompress_ex(decompressor, bits->bytes, bits_len(bits), out, sizeof(out), &used,
							  &made), LIBDEFLATE_SUCCESS);
	ck_assert_uint_eq(used, bits_len(bits));
	ck_assert_uint_eq(made, len);
	ck_assert_mem_eq(out, expected, len);
	libdeflate_free_decompressor(decompressor);
}

static unsigned try_fill(unsigned phase, uint64_t amount)
{
	struct bits bits = { 0 };
	size_t len;
	put_block(&bits, phase, &len);
	ck_assert_uint_eq(bits.count % 8, phase);
	const uint64_t before = bits.count;
	bool filled = empty_fill(&bits, before + amount);
	ck_assert_uint_eq(bits.count, filled ? before + amount : before);
	empty_end(&bits);
	ck_assert(!bits.nomem);
	assert_decodes_to(&bits, 200, len);
	bits_free(&bits);
	return filled;
}

START_TEST(every_larger_number_of_bits_is_filled)
{
	const uint64_t large[] = { 8 * 100000, 8 * 100000 + 1, 8 * 100001 + 3, 8 * 100003 + 6 };
	for (unsigned phase = 0; phase < 8; phase++) {
		for (uint64_t amount = LEAST; amount < 3000; amount++)
			ck_assert_msg(try_fill(phase, amount), "%u bits from bit %u on", (unsigned)amount, phase);
		for (size_t i = 0; i < sizeof(large) / sizeof(large[0]); i++)
			ck_assert(try_fill(phase, large[i]));
	}
}
END_TEST

START_TEST(small_numbers_are_filled_or_left)
{
	for (unsigned phase = 0; phase < 8; phase++) {
		unsigned filled = 0;
		for (uint64_t amount = 0; amount < LEAST; amount++)
			filled += try_fill(phase, amount);
		ck_assert_uint_gt(filled, LEAST / 3);
		ck_assert_uint_lt(filled, LEAST);
		ck_assert(try_fill(phase, 0));
		ck_assert(try_fill(phase, 10));
		ck_assert(try_fill(phase, 92));
		ck_assert(try_fill(phase, 95));
		ck_assert(!try_fill(phase, 1));
	}
}
END_TEST

START_TEST(each_phase_is_reached_by_few_bits)
{
	for (unsigned from = 0; from < 8; from++) {
		for (unsigned to = 0; to < 8; to++) {
			struct bits bits = { 0 };
			size_t len;
			put_block(&bits, from, &len);
			const uint64_t before = bits.count;
			empty_fill_to_phase(&bits, to);
			ck_assert_uint_eq(bits.count % 8, to);
			ck_assert_uint_le(bits.count - before, 95 + 30);
			ck_assert(from != to || bits.count == before);
			empty_end(&bits);
			assert_decodes_to(&bits, 200, len);
			bits_free(&bits);
		}
	}
}
END_TEST

START_TEST(bits_are_copied_from_anywhere)
{
	const uint8_t from[] = { 0x5a, 0xc3, 0x81, 0x7e };
	for (unsigned at = 0; at < 8; at++) {
		for (unsigned first = 0; first < 8; first++) {
			for (unsigned n = 0; first + n <= 32; n++) {
				struct bits bits = { 0 };
				bits_put(&bits, 0, at);
				bits_copy(&bits, from, first, n);
				ck_assert_uint_eq(bits.count, at + n);
				for (unsigned i = 0; i < n; i++)
					ck_assert_int_eq(bits.bytes[(at + i) / 8] >> (at + i) % 8 & 1,
							 from[(first + i) / 8] >> (first + i) % 8 & 1);
				bits_free(&bits);
			}
		}
	}
}
END_TEST

int main(void)
{
	TCase *tcase = case_new("deflate_empty");
	tcase_add_test(tcase, every_larger_number_of_bits_is_filled);
	tcase_add_test(tcase, small_numbers_are_filled_or_left);
	tcase_add_test(tcase, each_phase_is_reached_by_few_bits);
	tcase_add_test(tcase, bits_are_copied_from_anywhere);
	return case_run("deflate_empty", tcase);
}
