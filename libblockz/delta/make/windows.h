/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Matching one text with another in as much memory as there is: OLD in windows, NEW in chunks, both of whole parts of their
 * texts.  Calls the differ for each window.  It never changes what is found for the number of threads, only for the memory.
 */
#ifndef DELTA_MAKE_WINDOWS_H
#define DELTA_MAKE_WINDOWS_H

#include "delta/differ/differ.h"
#include "delta/make/plain_text.h"
#include "delta/make/stages.h"

struct windows {
	unsigned count; /* of OLD; 0 if there is nothing in it */
	uint64_t len;   /* of the longest, about */
	uint64_t memory_of_one; /* with which they would have been as few as can be: one for each 2 GiB of OLD */
};

/* The least memory that windows_match() takes: a window and a chunk hold the longest parts of both. */
uint64_t windows_memory(uint64_t old_longest, uint64_t new_longest);

/* What is matched with what, and by which means; all of it the caller's. */
struct text_pair {
	const struct plain_text *old, *new;
	const struct codec_env *env; /* of the codecs that decode them */
	struct stages *stages;       /* they are read with the threads of STAGE_LOOK_OLD and STAGE_LOOK_NEW */
	uint64_t memory;             /* bytes for both and the differ's index; windows_memory() is taken in any case */
};

/*
 * Finds matches of the pair's `new` in `old`; offsets are those of the texts.  The matches are the caller's to free.
 * Errors: BLOCKZ_FAILED, BLOCKZ_DAMAGED.
 */
enum blockz_status windows_match(const struct text_pair *pair, struct matches *matches_ret, struct windows *windows_ret,
				 struct blockz_fault *fault);

#endif
