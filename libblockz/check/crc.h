/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * CRCs as polynomials.
 *
 * A CRC is the remainder of the message, read as a polynomial over GF(2), divided by a fixed polynomial P.  Two facts
 * follow, and they are all that an edit in place needs:
 *
 *   shift    appending n zero bytes multiplies the message by x^(8n), so the remainder becomes r * x^(8n) mod P.
 *            That takes a few dozen multiplications of remainders, whatever n is.
 *   linear   the remainder of a sum (XOR) is the sum of the remainders.  The conventional inversions before and
 *            after are the same for both summands and drop out of a difference.
 *
 * So when bytes [a, b) of a message of length n change from `old` to `new`,
 *
 *   crc' = crc ^ shift(crc(old) ^ crc(new), n - b)
 *
 * and nothing but the changed bytes is read.  Worked example: "hello" -> "hallo" in CRC-32.  The changed byte is 'e'
 * -> 'a' with 3 bytes behind it.  crc("e") ^ crc("a") = efda7a5a ^ e8b7be43 = 076dc419; shifted by 3 bytes that is
 * 8f629757; crc("hello") = 3610a686, and 3610a686 ^ 8f629757 = b97231d1 = crc("hallo").
 * Damage elsewhere in the message stays visible, because no CRC is computed anew from data that was not checked.
 *
 * Remainders are kept bit-reflected, as gzip and xz store them: the coefficient of x^0 is the highest bit.
 */
#ifndef CHECK_CRC_H
#define CHECK_CRC_H

#include <stddef.h>
#include <stdint.h>

struct crc_poly {
	uint64_t reversed; /* P without its highest term, bit-reflected */
	uint64_t one;      /* the remainder 1: the highest bit of the CRC's width */
};

extern const struct crc_poly crc32_poly; /* RFC 1952, section 8 */
extern const struct crc_poly crc64_poly; /* xz-file-format, section 6 */

/* r * x^(8 * len) mod P: the remainder after len more zero bytes. */
uint64_t crc_shift(const struct crc_poly *poly, uint64_t r, uint64_t len);

/* The CRC of len more bytes behind those that gave crc; start with 0. */
uint32_t crc32_update(uint32_t crc, const void *bytes, size_t len);
uint64_t crc64_update(uint64_t crc, const void *bytes, size_t len);

/* CRC-32 of a message followed by another of len bytes, from the CRCs of both. */
uint32_t crc32_join(uint32_t first, uint32_t second, uint64_t len);

/* The way back: CRC-32 of the first, from that of both and that of the second. */
uint32_t crc32_without(uint32_t both, uint32_t second, uint64_t len);

/* The CRC of len zero bytes, with all inversions, as crc32_update() has them. */
uint64_t crc_zeros(const struct crc_poly *poly, uint64_t len);

#endif
