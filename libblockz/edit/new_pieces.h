/* SPDX-License-Identifier: BSD-3-Clause */
/* Pieces behind those that stay of an image: what is left of one that was cut, or zeros, with edits over them. */
#ifndef EDIT_NEW_PIECES_H
#define EDIT_NEW_PIECES_H

#include <pthread.h>

#include "mapped/pack.h"
#include "edit/planner.h"

enum { NEW_PIECES_MAX = 1 << 22 };

/* Zeros at first, but for what it is to do; new_pieces_free() frees what it holds. */
struct new_pieces {
	struct planner *planner;
	uint64_t start, end; /* image offsets */
	uint64_t file_off;   /* where they are put */
	enum check_method method;
	uint64_t piece_size; /* 0: as most pieces of the file have it */
	bool has_old; /* up to the end they are what is left of the piece at the start, or of a long one that this lies in; else zeros */
	bool is_verified; /* that piece was, or will be */
	/* What comes of it, to be read only. */
	struct written_piece *items;
	size_t count;
	uint64_t file_len; /* of them all */
	/* Under way. */
	struct pack_params params;
	enum blockz_kind old_kind;
	struct buffer old;   /* the text of the old piece; of a long one it is in the scratch: */
	uint64_t old_off;    /* UNKNOWN: it is in memory, */
	size_t old_at;       /* and what is left of it begins there */
	uint64_t pos;        /* of the next piece */
	uint64_t data;       /* from pos on there are zeros up to here */
	size_t part;         /* the first of the planner's that ends behind pos */
	uint64_t made;       /* pieces */
	pthread_mutex_t lock; /* over the scratch, which is read and written by several threads meanwhile */
};

/*
 * Encodes them as the pieces of the file are, and puts them into the plan.  The piece at the start is verified first.
 * Errors: those of decoding and encoding; BLOCKZ_LIMIT (more than NEW_PIECES_MAX), BLOCKZ_FAILED.
 */
enum blockz_status new_pieces_make(struct new_pieces *self);
void new_pieces_free(struct new_pieces *self);

#endif
