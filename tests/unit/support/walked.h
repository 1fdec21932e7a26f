/* SPDX-License-Identifier: BSD-3-Clause */
/* What the deflate walker finds, and what zlib does. */
#ifndef WALKED_H
#define WALKED_H

#include <check.h>

#include "format/deflate/walk.h"

enum { MAX_BLOCKS = 4096 };

struct walked {
	size_t count;
	bool ok; /* ended with a final block */
	struct walk_block block[MAX_BLOCKS];
};

extern struct walker *walker; /* new for each test of walk_case_new() */
extern struct walked walked, expected;

TCase *walk_case_new(const char *name);

/* ---- Streams ---- */

/* Phrases that come again near and far, runs, and noise.  Has to be freed. */
uint8_t *make_data(size_t len);

/* Both return the stream's length; zlib flushes in all of its ways, every so many bytes. */
size_t zlib_stream(const uint8_t *data, size_t len, int level, int mem_level, int strategy, size_t flush_every,
		   uint8_t *out, size_t room);
size_t libdeflate_stream(const uint8_t *data, size_t len, int level, uint8_t *out, size_t room);

/* ---- Walks ---- */

/* To the end of a stream, wherever the walker was set to; an error ends the list. */
enum blockz_status walk_on(struct walked *blocks, struct blockz_fault *fault);

/* The same in memory that ends where the input ends, for the sanitizer to see. */
enum blockz_status blocks_of_walker(const uint8_t *in, size_t len, struct walked *blocks);
void assert_same_edges(const struct walked *a, const struct walked *b);

/* True if both take the stream for good; the blocks, which are the same in any case, are left in walked. */
bool accepted_like_zlib(const uint8_t *in, size_t len);

#endif
