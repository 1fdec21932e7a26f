/* SPDX-License-Identifier: BSD-3-Clause */
/* The index in a gzip header (layout.h), read into a map; nothing in it is believed. */
#ifndef FORMAT_GZIP_INDEX_READ_H
#define FORMAT_GZIP_INDEX_READ_H

#include "format/gzip/layout.h"
#include "range/map.h"

/*
 * Whether a subfield of len bytes, of a length that an index can have, is an index, whole or damaged (see layout.h).
 * trailer: the last bytes of the file.
 */
bool index_is_own(const uint8_t *bytes, size_t len, uint64_t file_size, const uint8_t trailer[GZIP_TRAILER_LEN]);

/*
 * Fills an empty map from the index in bytes, which stand at file offset index_off; the pieces begin at body_off.
 * trailer: the last bytes before map->end_off.  Errors: BLOCKZ_DAMAGED for every disagreement with itself, map->end_off
 * and the trailer, BLOCKZ_UNSUPPORTED for another version, BLOCKZ_LIMIT, BLOCKZ_FAILED.
 */
enum blockz_status index_read(const uint8_t *bytes, size_t len, uint64_t index_off, uint64_t body_off,
			      const uint8_t *trailer, struct blockz_map *map, struct blockz_fault *fault);

/* The sizes in an index of which a map was made. */
struct index_cuts index_cuts_of(const uint8_t *bytes);

#endif
