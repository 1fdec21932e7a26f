/* SPDX-License-Identifier: BSD-3-Clause */
/* Encoding one piece of a mapped file again: into its old place, or as well as the file was. */
#ifndef EDIT_RENEW_H
#define EDIT_RENEW_H

#include "mapped/piece.h"

enum { RENEWER_ENCODERS = 6 };

/* What encodes, for one thread at a time; it keeps encoders, since making them takes long. */
struct renewer {
	const struct blockz_source *file;
	const struct blockz_map *map;
	struct encoding attempt;
	struct {
		struct pack_params params;
		void *encoder; /* NULL: none is kept here */
	} kept[RENEWER_ENCODERS];
	size_t next; /* of kept: the one to be replaced */
	unsigned attempts; /* levels at which the last piece was encoded */
};

/* Frees what a renewer holds; zeros but for file and map at first. */
void renewer_free(struct renewer *renewer);

/* How long an encoding may be. */
struct renew_room {
	uint64_t len;
	bool exactly; /* it is filled up to len */
};

/*
 * Encodes the new image bytes of a piece.  *fits_ret: the encoding has room; else it is the shortest that any level made,
 * and not filled.  Errors: those of renew_params(), BLOCKZ_FAILED.
 */
enum blockz_status renewer_encode(struct renewer *renewer, size_t piece, const struct plain_piece *plain,
				  const struct renew_room *room, struct encoding *encoding, bool *fits_ret,
				  struct blockz_fault *fault);

#endif
