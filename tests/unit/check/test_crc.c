/* SPDX-License-Identifier: BSD-3-Clause */
/* CRCs as polynomials, against division bit by bit, squared matrices, and zlib. */
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "check/crc.h"
#include "memory.h"
#include "random.h"

static uint32_t crc32_of_zeros(uint64_t len)
{
	return (uint32_t)crc_zeros(&crc32_poly, len);
}

enum { ROOM = 70000 };

static const struct crc_poly *const polys[] = { &crc32_poly, &crc64_poly };
enum { POLYS = 2 };

static uint8_t bytes[ROOM];

static void setup(void)
{
	rnd_fill(bytes, sizeof(bytes));
}

static uint64_t ones(const struct crc_poly *poly)
{
	return poly->one | (poly->one - 1);
}

/* ---- The model: division, a bit at a time ---- */

static uint64_t divide(const struct crc_poly *poly, uint64_t r, const uint8_t *data, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		r ^= data[i];
		for (int bit = 0; bit < 8; bit++)
			r = r & 1 ? r >> 1 ^ poly->reversed : r >> 1;
	}
	return r;
}

static uint64_t crc_of(const struct crc_poly *poly, const uint8_t *data, size_t len)
{
	return divide(poly, ones(poly), data, len) ^ ones(poly);
}

/* Another model, for lengths without end: a zero bit is a matrix, and 2^k of them its k-th square. */
struct matrix {
	uint64_t column[64];
};

static uint64_t times(const struct matrix *m, uint64_t v)
{
	uint64_t sum = 0;
	for (int i = 0; i < 64; i++)
		sum ^= v >> i & 1 ? m->column[i] : 0;
	return sum;
}

static uint64_t shift_by_matrix(const struct crc_poly *poly, uint64_t r, uint64_t len)
{
	struct matrix power, square;
	for (int i = 0; i < 64; i++)
		power.column[i] = i == 0 ? poly->reversed : (uint64_t)1 << (i - 1);
	for (int bit = 0; bit < 3 + 64; bit++) {
		if (bit >= 3 && len >> (bit - 3) & 1)
			r = times(&power, r);
		for (int i = 0; i < 64; i++)
			square.column[i] = times(&power, power.column[i]);
		power = square;
	}
	return r;
}

START_TEST(check_values)
{
	static const uint8_t digits[] = { '1', '2', '3', '4', '5', '6', '7', '8', '9' };
	ck_assert_uint_eq(crc_of(&crc32_poly, digits, 9), 0xcbf43926);
	ck_assert_uint_eq(crc_of(&crc64_poly, digits, 9), UINT64_C(0x995dc9bbdf1939fa));
	ck_assert_uint_eq(crc32_update(0, digits, 9), 0xcbf43926);
}
END_TEST

/* ---- Shifts ---- */

START_TEST(a_shift_appends_zeros)
{
	static const uint8_t zeros[700];
	const struct crc_poly *poly = polys[_i];
	for (size_t len = 0; len <= sizeof(zeros); len++) {
		uint64_t r = rnd() & ones(poly);
		ck_assert_uint_eq(crc_shift(poly, r, len), divide(poly, r, zeros, len));
		ck_assert_uint_eq(crc_shift(poly, 0, len), 0);
	}
}
END_TEST

START_TEST(shifts_by_lengths_without_end)
{
	const struct crc_poly *poly = polys[_i];
	for (int round = 0; round < 300; round++) {
		uint64_t r = rnd() & ones(poly), len = rnd() >> rnd_below(64);
		ck_assert_uint_eq(crc_shift(poly, r, len), shift_by_matrix(poly, r, len));
		uint64_t first = rnd_below(len / 2 + 1);
		ck_assert_uint_eq(crc_shift(poly, r, len), crc_shift(poly, crc_shift(poly, r, first), len - first));
	}
	ck_assert_uint_eq(crc_shift(poly, 1, UINT64_MAX), shift_by_matrix(poly, 1, UINT64_MAX));
}
END_TEST

START_TEST(a_message_is_joined_of_two_wherever_it_is_split)
{
	const struct crc_poly *poly = polys[_i];
	for (int round = 0; round < 100; round++) {
		size_t len = (size_t)rnd_below(3000), split = (size_t)rnd_below(len + 1);
		uint64_t first = crc_of(poly, bytes, split), second = crc_of(poly, bytes + split, len - split);
		ck_assert_uint_eq(crc_shift(poly, first, len - split) ^ second, crc_of(poly, bytes, len));
	}
}
END_TEST

/* Only the bytes that change are read, and damage elsewhere stays. */
START_TEST(an_edit_moves_a_crc_by_the_difference)
{
	const struct crc_poly *poly = polys[_i];
	for (int round = 0; round < 100; round++) {
		size_t len = (size_t)(1 + rnd_below(3000)), start = (size_t)rnd_below(len);
		size_t end = start + (size_t)rnd_below(len - start + 1);
		uint64_t before = crc_of(poly, bytes, len), old = crc_of(poly, bytes + start, end - start);
		rnd_fill(bytes + start, end - start);
		uint64_t new = crc_of(poly, bytes + start, end - start);
		ck_assert_uint_eq(before ^ crc_shift(poly, old ^ new, len - end), crc_of(poly, bytes, len));
	}
}
END_TEST

START_TEST(the_worked_example_is_right)
{
	uint32_t e = crc32_update(0, "e", 1), a = crc32_update(0, "a", 1);
	ck_assert_uint_eq(e, 0xefda7a5a);
	ck_assert_uint_eq(a, 0xe8b7be43);
	ck_assert_uint_eq(e ^ a, 0x076dc419);
	ck_assert_uint_eq(crc_shift(&crc32_poly, 0x076dc419, 3), 0x8f629757);
	ck_assert_uint_eq(crc32_update(0, "hello", 5), 0x3610a686);
	ck_assert_uint_eq(0x3610a686 ^ 0x8f629757, 0xb97231d1);
	ck_assert_uint_eq(crc32_update(0, "hallo", 5), 0xb97231d1);
}
END_TEST

/* ---- CRC-32 against zlib ---- */

START_TEST(bytes_have_zlibs_crc)
{
	for (size_t len = 0; len < 300; len++)
		for (size_t off = 0; off < 17; off++)
			ck_assert_uint_eq(crc32_update(0, bytes + off, len), crc32(0, bytes + off, (uInt)len));
	for (int round = 0; round < 300; round++) {
		size_t len = (size_t)rnd_below(sizeof(bytes) - 64), off = (size_t)rnd_below(64);
		uint32_t start = (uint32_t)rnd();
		ck_assert_uint_eq(crc32_update(start, bytes + off, len), crc32(start, bytes + off, (uInt)len));
	}
}
END_TEST

START_TEST(joins_are_zlibs)
{
	for (int round = 0; round < 2000; round++) {
		uint32_t first = (uint32_t)rnd(), second = (uint32_t)rnd();
		uint64_t len = rnd() >> (1 + rnd_below(62));
		ck_assert_uint_eq(crc32_join(first, second, len), crc32_combine(first, second, (z_off_t)len));
		ck_assert_uint_eq(crc32_without(crc32_join(first, second, len), second, len), first);
	}
	for (int round = 0; round < 300; round++) {
		size_t len = (size_t)rnd_below(sizeof(bytes)), split = (size_t)rnd_below(len + 1);
		uint32_t first = crc32_update(0, bytes, split), second = crc32_update(0, bytes + split, len - split);
		ck_assert_uint_eq(crc32_join(first, second, len - split), crc32(0, bytes, (uInt)len));
	}
}
END_TEST

START_TEST(zeros_have_zlibs_crc)
{
	memset(bytes, 0, sizeof(bytes));
	for (size_t len = 0; len < 2000; len++)
		ck_assert_uint_eq(crc32_of_zeros(len), crc32(0, bytes, (uInt)len));
	/* Twice as many zeros each time. */
	uint32_t crc = (uint32_t)crc32(0, bytes, 1);
	for (int log = 0; log < 62; log++) {
		ck_assert_uint_eq(crc32_of_zeros((uint64_t)1 << log), crc);
		crc = (uint32_t)crc32_combine(crc, crc, (z_off_t)1 << log);
	}
	/* P is primitive: after 2^32 - 1 shifts a remainder is what it was. */
	ck_assert_uint_eq(crc32_of_zeros(UINT32_MAX), 0);
}
END_TEST

int main(void)
{
	TCase *c = case_new("crc");
	tcase_add_checked_fixture(c, setup, NULL);
	tcase_add_test(c, check_values);
	tcase_add_loop_test(c, a_shift_appends_zeros, 0, POLYS);
	tcase_add_loop_test(c, shifts_by_lengths_without_end, 0, POLYS);
	tcase_add_loop_test(c, a_message_is_joined_of_two_wherever_it_is_split, 0, POLYS);
	tcase_add_loop_test(c, an_edit_moves_a_crc_by_the_difference, 0, POLYS);
	tcase_add_test(c, the_worked_example_is_right);
	tcase_add_test(c, bytes_have_zlibs_crc);
	tcase_add_test(c, joins_are_zlibs);
	tcase_add_test(c, zeros_have_zlibs_crc);
	return case_run("crc", c);
}
