/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The limits of a client, which applies a delta: who makes one reckons with them, and looks at nothing else of what applies it.
 * Changing them changes the deltas that are made, but not which deltas a client takes.
 */
#ifndef DELTA_FILE_CLIENT_H
#define DELTA_FILE_CLIENT_H

#include <stdint.h>

enum {
	CLIENT_CACHE = 12 << 20, /* bytes of decoded blocks of OLD that it keeps, */
	CLIENT_LISTS = 64 << 10, /* and what it needs beside them */

	/* Parts of NEW that it makes at once: no more, and no more bytes, but for a single part. */
	CLIENT_PARTS = 8,
	CLIENT_PARTS_LEN = 3 << 20,
};

/* What a client has to hold of an image pair: lengths of decoded blocks. */
struct client_load {
	uint64_t old_longest, new_longest;
	uint64_t new_len; /* content of NEW that is not in OLD as it is */
	uint64_t encoder; /* bytes of memory that encoding a block of NEW takes, the block included */
};

/* Bytes of memory that a client takes on so many threads: what applying a delta allocates, and its decoders. */
uint64_t client_memory(const struct client_load *load, unsigned threads);

#endif
