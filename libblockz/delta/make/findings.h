/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is known of where NEW's content comes from, once texts are matched: scripts are made from it, by threads that share it.
 * It is filled in the order of its members; what is above them is the caller's and must live as long.
 */
#ifndef DELTA_MAKE_FINDINGS_H
#define DELTA_MAKE_FINDINGS_H

#include "delta/differ/differ.h"
#include "delta/file/old_space.h"
#include "delta/make/listing.h"
#include "delta/make/plain_text.h"
#include "delta/make/selection.h"

struct findings {
	const struct image *old, *new;
	const struct selection *selection;
	const struct codec_env *env;
	/* Its own. */
	struct plain_text old_text, new_text;
	struct matches matches; /* of NEW's text in OLD's */
	struct listing wanted;  /* all blocks of OLD that may be of use */
	struct old *space;      /* OLD's space, which has these */
};

/* Lays the texts out: the content of OLD that is wanted, and that of NEW which is open.  Errors: BLOCKZ_FAILED (no memory). */
enum blockz_status findings_lay_out(struct findings *findings, struct blockz_fault *fault);

/*
 * Lists the wanted blocks, and opens OLD's space with them, of which that many bytes are kept decoded, and which so many
 * threads use at once.  Errors: BLOCKZ_FAILED (no memory).
 */
enum blockz_status findings_open_old(struct findings *findings, uint64_t cache, unsigned threads, struct blockz_fault *fault);

/* Where an offset in OLD's text is in OLD's space, and how far on from there both go together. */
uint64_t findings_place(const struct findings *findings, uint64_t text_off, uint64_t *together_ret);

void findings_free(struct findings *findings);

#endif
