/* SPDX-License-Identifier: BSD-3-Clause */
/* The limits of a client, which applies a delta: who makes one reckons with them. */
#ifndef DELTA_FILE_CLIENT_H
#define DELTA_FILE_CLIENT_H

enum {
	CLIENT_CACHE = 12 << 20, /* bytes of decoded blocks of OLD that it keeps, */
	CLIENT_LISTS = 64 << 10, /* and what it needs beside them */

	/* Parts of NEW that it makes at once: no more, and no more bytes, but for a single part. */
	CLIENT_PARTS = 8,
	CLIENT_PARTS_LEN = 3 << 20,
};

#endif
