/* SPDX-License-Identifier: BSD-3-Clause */
/* The kinds of checks that stand in compressed files, and sums that run over the bytes they cover. */
#ifndef CHECK_METHOD_H
#define CHECK_METHOD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "check/crc.h"
#include "check/sha256.h"

enum check_method {
	CHECK_NONE,
	CHECK_CRC32,       /* RFC 1952; xz */
	CHECK_CRC64,       /* xz */
	CHECK_SHA256,      /* xz */
	CHECK_XXH64_LOW32, /* RFC 8878: the low 32 bits of XXH64, seed 0 */
};

enum { CHECK_LEN_MAX = SHA256_LEN };

/* What is known of a method; len is that of its field in bytes, and a number stands in it little-endian. */
struct check_facts {
	const char *name;
	size_t len;
	/*
	 * Linear checks have a polynomial: they are moved by the difference of old and new bytes.  Others, NULL, are
	 * verified over the old bytes first, and then made anew.
	 */
	const struct crc_poly *poly;
	uint64_t (*update)(uint64_t crc, const void *bytes, size_t len); /* of linear ones; starts with 0 */
};

extern const struct check_facts check_methods[]; /* by enum check_method */

/* A sum that runs over bytes.  Private. */
struct check_sum {
	enum check_method method;
	uint64_t crc;
	struct sha256 sha256;
	void *xxh64;
};

/* Begins a sum; false: no memory, and there is nothing to finish. */
bool check_sum_start(struct check_sum *sum, enum check_method method);
/* Goes on with len more bytes. */
void check_sum_update(struct check_sum *sum, const void *bytes, size_t len);
/* Writes the field's bytes, as many as the method has, and frees what the sum needed.  field NULL: frees alone. */
void check_sum_finish(struct check_sum *sum, uint8_t *field);

/* Makes the field over len bytes, all in one.  False: no memory. */
bool check_sum(enum check_method method, const void *bytes, size_t len, uint8_t field[CHECK_LEN_MAX]);

/* Makes the field over len zeros.  False: no memory. */
bool check_of_zeros(enum check_method method, uint64_t len, uint8_t field[CHECK_LEN_MAX]);

/* What zeros sum to, kept for a reader that meets the same length again and again; all zeros at first. */
struct zero_sums {
	enum check_method method;
	uint64_t len, hashed; /* hashed: how many zeros so far */
	uint8_t field[CHECK_LEN_MAX];
};

/*
 * *yes_ret: field is the method's check of len zeros.  A hint: it is not for CHECK_NONE, and where a hostile file, with
 * lengths that are all different, makes more zeros be hashed than any other has.  Returns false without memory.
 */
bool check_is_of_zeros(struct zero_sums *sums, enum check_method method, uint64_t len, const uint8_t *field,
		       bool *yes_ret);

/* The number in the field of a linear check. */
uint64_t check_value(enum check_method method, const uint8_t *field);

#endif
