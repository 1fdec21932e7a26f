/* SPDX-License-Identifier: BSD-3-Clause */
/* CRCs moved and united by multiplying polynomials; the mathematics is in check/crc.h. */
#include "check/crc.h"

const struct crc_poly crc32_poly = { 0xEDB88320, (uint64_t)1 << 31 };
const struct crc_poly crc64_poly = { 0xC96C5795D7870F42, (uint64_t)1 << 63 };

/* a * b mod P, by the schoolbook: add b * x^i for each term x^i of a. */
static uint64_t multiply(const struct crc_poly *poly, uint64_t a, uint64_t b)
{
	uint64_t product = 0;
	for (; a != 0; a = (a & (poly->one - 1)) << 1) {
		product ^= b & -(uint64_t)((a & poly->one) != 0);
		b = b >> 1 ^ (poly->reversed & -(b & 1));
	}
	return product;
}

uint64_t crc_shift(const struct crc_poly *poly, uint64_t r, uint64_t len)
{
	uint64_t power = poly->one >> 8; /* x^8, then x^16, x^32 ...: one for each bit of len */
	for (; len != 0 && r != 0; len >>= 1) {
		if (len & 1)
			r = multiply(poly, power, r);
		power = multiply(poly, power, power);
	}
	return r;
}

uint32_t crc32_join(uint32_t first, uint32_t second, uint64_t len)
{
	return (uint32_t)crc_shift(&crc32_poly, first, len) ^ second;
}

uint32_t crc32_without(uint32_t both, uint32_t second, uint64_t len)
{
	const uint64_t order = UINT32_MAX; /* of x, as P is primitive: so many bits, or bytes, more change nothing */
	return (uint32_t)crc_shift(&crc32_poly, both ^ second, order - len % order);
}

uint64_t crc_zeros(const struct crc_poly *poly, uint64_t len)
{
	uint64_t ones = poly->one | (poly->one - 1);
	return crc_shift(poly, ones, len) ^ ones;
}
