/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Long pieces are read at any offset, by any number of threads.
 *
 * What is known of a piece is kept: parts of it in a cache, cursors where they stopped, so that reads that follow each other
 * decode it once, and in formats that have them, marks, which are made on the way.  So all of a piece is decoded once, and later
 * reads begin at the mark before what they want.  Without marks, who goes back decodes from the beginning.
 */
#ifndef MAPPED_LONG_READER_H
#define MAPPED_LONG_READER_H

#include "mapped/piece.h"

enum { LONG_PART = 1 << 20 }; /* image bytes that are decoded at once, and kept */

struct long_reader;

/* Keeps so many bytes of parts, but one at least.  NULL: no memory.  The file and the map must live as long. */
struct long_reader *long_reader_new(const struct blockz_source *file, const struct blockz_map *map, uint64_t cache_limit);
void long_reader_free(struct long_reader *reader); /* NULL is fine */

/*
 * Reads image bytes [start, end) of one piece, which is compressed and of one copy.  Its own checks are verified where all of it
 * has been decoded in order.  Any thread may call it.  Memory: the parts, MARKS_BYTES_MAX, and a cursor for each thread that
 * reads at once.  Errors, where the parts in question cannot be decoded as a whole: BLOCKZ_DAMAGED, BLOCKZ_UNSUPPORTED,
 * BLOCKZ_LIMIT, BLOCKZ_FAILED.
 */
enum blockz_status long_reader_read(struct long_reader *reader, size_t piece, uint64_t start, uint64_t end, uint8_t *out,
				    struct blockz_fault *fault);

#endif
