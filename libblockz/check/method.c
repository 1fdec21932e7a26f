/* SPDX-License-Identifier: BSD-3-Clause */
/* The kinds of checks in a table, and sums of each kind. */
#include "check/method.h"

#include <string.h>

#include <xxhash.h>

#include "base/bytes.h"

/* A quarter of a second of SHA-256; files have one length of zero pieces, and perhaps a last piece. */
enum { ZEROS_HASHED_MAX = 512 << 20 };

static uint64_t update_crc32(uint64_t crc, const void *bytes, size_t len)
{
	return crc32_update((uint32_t)crc, bytes, len);
}

const struct check_facts check_methods[] = {
	[CHECK_NONE] = { "none", 0, NULL, NULL },
	[CHECK_CRC32] = { "CRC-32", 4, &crc32_poly, update_crc32 },
	[CHECK_CRC64] = { "CRC-64", 8, &crc64_poly, crc64_update },
	[CHECK_SHA256] = { "SHA-256", 32, NULL, NULL },
	[CHECK_XXH64_LOW32] = { "XXH64", 4, NULL, NULL },
};

bool check_sum_start(struct check_sum *sum, enum check_method method)
{
	*sum = (struct check_sum){ .method = method };
	switch (method) {
	case CHECK_SHA256:
		return sha256_start(&sum->sha256);
	case CHECK_XXH64_LOW32:
		sum->xxh64 = XXH64_createState();
		if (sum->xxh64 != NULL)
			XXH64_reset(sum->xxh64, 0);
		return sum->xxh64 != NULL;
	default:
		return true;
	}
}

void check_sum_update(struct check_sum *sum, const void *bytes, size_t len)
{
	switch (sum->method) {
	case CHECK_SHA256:
		sha256_update(&sum->sha256, bytes, len);
		break;
	case CHECK_XXH64_LOW32:
		XXH64_update(sum->xxh64, bytes, len);
		break;
	default:
		if (check_methods[sum->method].update != NULL)
			sum->crc = check_methods[sum->method].update(sum->crc, bytes, len);
	}
}

void check_sum_finish(struct check_sum *sum, uint8_t *field)
{
	switch (sum->method) {
	case CHECK_SHA256:
		if (field != NULL)
			sha256_finish(&sum->sha256, field);
		sha256_free(&sum->sha256);
		break;
	case CHECK_XXH64_LOW32:
		if (field != NULL)
			store_le32(field, (uint32_t)XXH64_digest(sum->xxh64));
		XXH64_freeState(sum->xxh64);
		sum->xxh64 = NULL;
		break;
	default:
		for (size_t i = 0; field != NULL && i < check_methods[sum->method].len; i++)
			field[i] = (uint8_t)(sum->crc >> 8 * i);
	}
}

bool check_sum(enum check_method method, const void *bytes, size_t len, uint8_t field[CHECK_LEN_MAX])
{
	struct check_sum sum;
	if (!check_sum_start(&sum, method))
		return false;
	check_sum_update(&sum, bytes, len);
	check_sum_finish(&sum, field);
	return true;
}

uint64_t check_value(enum check_method method, const uint8_t *field)
{
	return check_methods[method].len == sizeof(uint64_t) ? load_le64(field) : load_le32(field);
}

bool check_of_zeros(enum check_method method, uint64_t len, uint8_t field[CHECK_LEN_MAX])
{
	static const uint8_t zeros[65536];
	struct check_sum sum;
	if (!check_sum_start(&sum, method))
		return false;
	if (check_methods[method].poly != NULL) {
		sum.crc = crc_zeros(check_methods[method].poly, len);
		len = 0;
	}
	for (uint64_t part; len > 0; len -= part) {
		part = len < sizeof(zeros) ? len : sizeof(zeros);
		check_sum_update(&sum, zeros, (size_t)part);
	}
	check_sum_finish(&sum, field);
	return true;
}

bool check_is_of_zeros(struct zero_sums *sums, enum check_method method, uint64_t len, const uint8_t *field,
		       bool *yes_ret)
{
	const struct check_facts *facts = &check_methods[method];
	*yes_ret = false;
	if (method == CHECK_NONE)
		return true;
	if (sums->method != method || sums->len != len) {
		if (facts->poly == NULL && len > ZEROS_HASHED_MAX - sums->hashed)
			return true;
		if (!check_of_zeros(method, len, sums->field))
			return false;
		sums->hashed += facts->poly == NULL ? len : 0;
		sums->method = method;
		sums->len = len;
	}
	*yes_ret = memcmp(sums->field, field, facts->len) == 0;
	return true;
}
