/* SPDX-License-Identifier: BSD-3-Clause */
/* A failure of libcrypto, which an update has no way to tell, is told at the end. */
#include "check/sha256.h"

#include <assert.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "base/fault.h"

bool sha256_start(struct sha256 *sha256)
{
	*sha256 = (struct sha256){ .state = EVP_MD_CTX_new() };
	if (sha256->state != NULL && EVP_DigestInit_ex(sha256->state, EVP_sha256(), NULL) == 1)
		return true;
	sha256_free(sha256);
	return false;
}

void sha256_update(struct sha256 *sha256, const void *bytes, size_t len)
{
	if (EVP_DigestUpdate(sha256->state, bytes, len) != 1)
		sha256->failed = true;
}

bool sha256_finish(struct sha256 *sha256, uint8_t digest_ret[SHA256_LEN])
{
	return !sha256->failed && EVP_DigestFinal_ex(sha256->state, digest_ret, NULL) == 1;
}

void sha256_free(struct sha256 *sha256)
{
	EVP_MD_CTX_free(sha256->state);
	sha256->state = NULL;
}

enum blockz_status sha256_expect(struct sha256 *sha256, const uint8_t expected[SHA256_LEN], const char *what,
				 struct blockz_fault *fault)
{
	char expected_text[SHA256_TEXT_LEN], found_text[SHA256_TEXT_LEN];
	uint8_t found[SHA256_LEN];
	if (!sha256_finish(sha256, found))
		return fault_nomem(fault);
	if (memcmp(found, expected, sizeof(found)) == 0)
		return BLOCKZ_OK;
	return fault_set(fault, BLOCKZ_DAMAGED, BLOCKZ_UNKNOWN, "%s: SHA-256 expected %s, found %s", what,
			 sha256_text(expected, SHA256_LEN, expected_text), sha256_text(found, SHA256_LEN, found_text));
}

const char *sha256_text(const uint8_t *digest, size_t len, char text[SHA256_TEXT_LEN])
{
	assert(len <= SHA256_LEN);
	text[0] = '\0';
	for (size_t i = 0; i < len; i++)
		snprintf(text + 2 * i, 3, "%02x", digest[i]);
	return text;
}
