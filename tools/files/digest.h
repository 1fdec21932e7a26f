/* SPDX-License-Identifier: BSD-3-Clause */
/* SHA-256 of files, and of images on their way in or out. */
#ifndef FILES_DIGEST_H
#define FILES_DIGEST_H

#include <openssl/evp.h>

#include "blockz.h"

struct hasher;

enum { DIGEST_HEX = 65 };

/* What is long is hashed by a thread of its own, while the caller goes on. */
struct digest {
	EVP_MD_CTX *context;
	struct hasher *hasher; /* NULL: the caller hashes */
	size_t alone;          /* bytes that the caller is still to hash before there is one */
	bool failed;
};

/* BLOCKZ_FAILED: no memory, or no SHA-256 in libcrypto. */
enum blockz_status digest_start(struct digest *digest, struct blockz_fault *fault);
void digest_update(struct digest *digest, const void *buf, size_t len);
/* Writes the digest in hexadecimal. */
enum blockz_status digest_finish(struct digest *digest, char hex_ret[DIGEST_HEX], struct blockz_fault *fault);
/* Fine for zeros, and twice. */
void digest_free(struct digest *digest);

/* The digest of a source of known size.  Holes are not read; of work only the progress is used.  Errors: BLOCKZ_FAILED. */
enum blockz_status digest_source(const struct blockz_source *source, const struct blockz_work *work,
				 char hex_ret[DIGEST_HEX], struct blockz_fault *fault);

/* The digest of the image in a compressed file.  Errors: those of blockz_extract(). */
enum blockz_status digest_image(const struct blockz_source *file, const struct blockz_map *map,
				const struct blockz_work *work, char hex_ret[DIGEST_HEX], struct blockz_fault *fault);

/* A source that hashes what is read from it, in order and once, as blockz_pack() reads. */
struct digest_tap {
	struct digest digest; /* digest_free() it; also that of a digest_sink */
	const struct blockz_source *inner;
	uint64_t pos;
};

/* self is the source's memory; inner must live as long.  Bytes that are skipped count as zeros. */
enum blockz_status digest_tap_start(struct digest_tap *self, const struct blockz_source *inner,
				    struct blockz_source *source_ret, struct blockz_fault *fault);
/* The digest, once all of the image_size bytes were read or skipped. */
enum blockz_status digest_tap_finish(struct digest_tap *self, uint64_t image_size, char hex_ret[DIGEST_HEX],
				     struct blockz_fault *fault);

/* A sink that hashes what is appended and hands it on to inner (NULL: to nowhere).  It cannot be rewritten. */
struct digest_sink {
	struct digest digest;
	const struct blockz_sink *inner;
};

/* self is the sink's memory; inner must live as long.  The digest is self->digest, to be finished and freed. */
enum blockz_status digest_sink_start(struct digest_sink *self, const struct blockz_sink *inner,
				     struct blockz_sink *sink_ret, struct blockz_fault *fault);

#endif
