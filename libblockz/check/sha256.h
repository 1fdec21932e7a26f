/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * SHA-256 of bytes that come one part after the other, by libcrypto: what whole images and files are known by.  This is
 * the library's only caller of libcrypto; it knows no file and no format.
 */
#ifndef CHECK_SHA256_H
#define CHECK_SHA256_H

#include <stddef.h>
#include <stdint.h>

#include "blockz.h"

enum {
	SHA256_LEN = 32,
	SHA256_TEXT_LEN = 2 * SHA256_LEN + 1, /* in hexadecimal, its NUL included */
};

/* A digest under way; zeros at first.  Private. */
struct sha256 {
	void *state;
	bool failed;
};

/* Begins a digest.  Returns false where memory is short, and there is nothing to free then. */
bool sha256_start(struct sha256 *sha256);
void sha256_update(struct sha256 *sha256, const void *bytes, size_t len);

/* Writes the digest of all bytes.  Returns false where libcrypto failed at any of them; digest_ret has no meaning then. */
bool sha256_finish(struct sha256 *sha256, uint8_t digest_ret[SHA256_LEN]);

/* Frees what a digest needed; fine for zeros, and twice. */
void sha256_free(struct sha256 *sha256);

/*
 * Finishes a digest and compares it.  Errors: BLOCKZ_DAMAGED (another one; the text is `what` and both), BLOCKZ_FAILED.
 */
enum blockz_status sha256_expect(struct sha256 *sha256, const uint8_t expected[SHA256_LEN], const char *what,
				 struct blockz_fault *fault);

/* Writes a digest, or the first len bytes of one, in hexadecimal; returns text. */
const char *sha256_text(const uint8_t *digest, size_t len, char text[SHA256_TEXT_LEN]);

#endif
