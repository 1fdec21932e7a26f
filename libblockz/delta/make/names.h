/* SPDX-License-Identifier: BSD-3-Clause */
/* How a delta calls what it refers to: encoders by their index in its head, blocks of OLD by places in its OLD's space. */
#ifndef DELTA_MAKE_NAMES_H
#define DELTA_MAKE_NAMES_H

#include "codec/prove.h"
#include "delta/make/findings.h"

struct names {
	uint8_t encoders[PROVE_NONE]; /* of each of NEW's candidates: its index in the head; PROVE_NONE: it has none */
	struct listing listed;        /* the blocks of OLD that matches of open blocks go to, no others */
};

/*
 * Puts the encoders in use into the head, those used most if there are too many, and demotes the blocks that need others, in the
 * selection of the findings, which is handed over once more to be changed; then lists what is used of OLD.
 * Errors: BLOCKZ_FAILED, and what encoders say.
 */
enum blockz_status names_choose(const struct findings *findings, struct selection *selection, struct delta_head *head,
				struct names *names_ret, struct blockz_fault *fault);
void names_free(struct names *names);

#endif
