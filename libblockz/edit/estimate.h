/* SPDX-License-Identifier: BSD-3-Clause */
/* What edits of compressed bytes take, by the lengths of the pieces that they meet. */
#ifndef EDIT_ESTIMATE_H
#define EDIT_ESTIMATE_H

#include "format/format.h"

/* True if a piece is short enough to be encoded again as a whole. */
bool estimate_is_short(uint64_t image_len, uint64_t file_len);

/*
 * How a compressed piece, or one copy of a zero piece, is edited: never BLOCKZ_EDIT_RAW.  Zeros are encoded as a whole: a splice
 * is within an item of the map, and moves the check that is kept of a piece, which zeros have none of.
 */
enum blockz_edit_how estimate_how(const struct format *format, enum blockz_kind kind, uint64_t image_len, uint64_t file_len);

/* Zeros at first. */
struct estimate {
	uint64_t encoding_ns; /* for all pieces that are encoded as a whole, on one thread */
	uint64_t longest_ns;  /* for one of them, which is the work of one thread */
	uint64_t splicing_ns; /* for all others, one after the other, */
	uint64_t fitting_ns;  /* and what it takes more to keep their lengths */
	uint64_t file_bytes;  /* of theirs, that are replaced */
	/* What both ways take, and whether BLOCKZ_WAY_AUTO tries the one in place. */
	uint64_t in_place_ns, splice_ns;
	bool in_place;
};

/* Adds a piece, by its lengths.  is_long: as little of it is encoded as an edit needs. */
void estimate_add(struct estimate *estimate, const struct format *format, bool is_long, uint64_t image_len, uint64_t file_len);

/* When all are added. */
void estimate_ways(struct estimate *estimate, const struct blockz_map *map, unsigned threads);

#endif
