/* SPDX-License-Identifier: BSD-3-Clause */
/* A thread that hashes what its caller reads and writes meanwhile.  One caller at a time. */
#ifndef FILES_HASHER_H
#define FILES_HASHER_H

#include <openssl/evp.h>
#include <stdbool.h>
#include <stddef.h>

struct hasher;

/* The context is the hasher's until its end.  NULL: no memory, or no thread; the context is still the caller's. */
struct hasher *hasher_start(EVP_MD_CTX *context);

/* Takes a copy of the bytes, and waits only where the thread is some MiB behind. */
void hasher_update(struct hasher *hasher, const void *buf, size_t len);

/* Waits until all is hashed, and frees the hasher.  False: something could not be. */
bool hasher_end(struct hasher *hasher);

#endif
