/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Deltas, of blockz-delta or SquashDelta, that are applied one after the other.
 *
 *	delta_chain_open() ... delta_chain_check_sizes() ... delta_chain_apply()
 *	delta_chain_close() in any case
 *
 * Knows nothing of options, of the name of what is made, nor of what is said about it.
 */
#ifndef DELTAS_DELTA_CHAIN_H
#define DELTAS_DELTA_CHAIN_H

#include "blockz_delta.h"
#include "deltas/delta_env.h"
#include "deltas/delta_head.h"
#include "files/audience.h"
#include "files/input.h"

/* Starts as zeros. */
struct delta_chain {
	char *const *paths; /* "-": standard input */
	size_t count;
	size_t at; /* the delta that a fault speaks of, unless its subject is OLD or the output */
	/* Private. */
	struct input *inputs;
	struct delta_head *heads; /* of each */
};

/*
 * Opens the deltas, and adds them to the audience.  Each has to be for what the one before it makes: of streams that shows when
 * they are applied, of SquashDelta never.  paths must live as long.
 * Errors: those of input_open() and blockz_delta_info(), BLOCKZ_DAMAGED (one is for another image).
 */
enum blockz_status delta_chain_open(struct delta_chain *chain, char *const *paths, size_t count, struct audience *audience,
				    struct blockz_fault *fault);

/*
 * Whether no delta, streams included, says that it makes an image of more than max bytes.  SquashDelta's do not say it.
 * Errors: those of delta_check_size() and blockz_delta_info().
 */
enum blockz_status delta_chain_check_sizes(struct delta_chain *chain, uint64_t max, struct blockz_fault *fault);

/* Where an image goes. */
struct delta_output {
	int fd;        /* a regular file, to which it is appended */
	uint64_t max;  /* bytes at most, as delta_check_size() has it */
	uint64_t size; /* bytes that were appended */
};

/*
 * Appends to out the image that the deltas make of another, of known size.  The images between lie in unnamed files, at most
 * two at a time.
 * Errors: those of blockz_merge() and squashdelta_apply(); BLOCKZ_LIMIT.  The subject is OLD only where that is this image.
 */
enum blockz_status delta_chain_apply(struct delta_chain *chain, const struct delta_env *env, const struct blockz_source *old,
				     struct delta_output *out, struct blockz_fault *fault);

/* The same of an expanded file in the place of OLD and the deltas: see squashdelta_squash(). */
enum blockz_status delta_squash(const struct delta_env *env, const struct blockz_source *expanded, struct delta_output *out,
				struct blockz_fault *fault);

/* Whether the last delta has no digest by which its image could be known to be right: it is SquashDelta's. */
bool delta_chain_is_unproved(const struct delta_chain *chain);

/* Fine for zeros, and twice. */
void delta_chain_close(struct delta_chain *chain);

/* BLOCKZ_LIMIT where a delta makes an image of more than --max-size; max BLOCKZ_UNKNOWN: no limit. */
enum blockz_status delta_check_size(uint64_t new_size, uint64_t max, struct blockz_fault *fault);

#endif
