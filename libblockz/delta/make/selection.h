/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What becomes of each block of NEW, and which blocks of OLD are worth a look.  Blocks are only ever demoted: open ones
 * that turn out not to pay are packed.
 */
#ifndef DELTA_MAKE_SELECTION_H
#define DELTA_MAKE_SELECTION_H

#include "blockz_delta.h"
#include "codec/prove.h"
#include "delta/make/image.h"
#include "delta/make/stages.h"

enum fate {
	FATE_EQUAL,  /* OLD has it, byte for byte: its encoded bytes are copied */
	FATE_OPEN,   /* its content is in the stream, and the client encodes it */
	FATE_PACKED, /* the delta brings its encoded bytes */
};

struct selected {
	uint8_t fate;
	uint8_t candidate;  /* open: of NEW's candidates, the one that makes it; PROVE_NONE: stored, no encoding needed */
	bool unproved;      /* packed, and no encoder is known that makes it */
	uint32_t old_block; /* equal: which */
	uint64_t encode_ns; /* open: CPU time of encoding it, as measured here, */
	struct proof_digest digest; /* and what it was proved for, unless it is stored */
};

struct selection {
	struct selected *blocks; /* of NEW */
	bool *open;              /* of NEW: whether fate is FATE_OPEN; its content is part of NEW's text */
	bool *old_wanted;        /* of OLD: its content may be of use */
	bool *allowed;           /* of NEW's candidates: the client may be asked for it */
};

/*
 * Finds the blocks of NEW that OLD has; the others are open, and of OLD those wanted that NEW has not.  The selection is the
 * caller's, for selection_free().  Errors: BLOCKZ_FAILED (no memory).
 */
enum blockz_status selection_begin(const struct image *old, const struct image *new,
				   const struct blockz_delta_options *options, struct selection *selection_ret,
				   struct blockz_fault *fault);

/* Decides about the others, which are decoded and proved.  Errors: BLOCKZ_FAILED. */
enum blockz_status selection_finish(struct selection *selection, const struct image *old, const struct image *new,
				    const struct codec_env *env, const struct blockz_delta_options *options,
				    struct stages *stages, struct blockz_fault *fault);
void selection_free(struct selection *selection);

/* An open block shall be packed. */
void selection_demote(struct selection *selection, size_t block);

/* Counts what became of blocks, for a caller: blocks and those with a fate, and the CPU time of encoding. */
void selection_count(const struct selection *selection, const struct blocks *new, struct blockz_delta_result *result);

/* Appends to a note for people how many blocks no encoder makes again, if there are any. */
void selection_note(const struct selection *selection, const struct blocks *new,
		    const struct blockz_delta_options *options, char *note, size_t room);

#endif
