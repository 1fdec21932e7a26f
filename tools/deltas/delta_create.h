/* SPDX-License-Identifier: BSD-3-Clause */
/* Making a delta of blockz-delta's own format, and what is said about it; squashdelta.h has the other format. */
#ifndef DELTAS_DELTA_CREATE_H
#define DELTAS_DELTA_CREATE_H

#include <jansson.h>

#include "blockz_delta.h"
#include "deltas/delta_env.h"

struct delta_creation {
	struct blockz_delta_options options; /* what the caller wants; lzo, work, encoders and proved are set by delta_create() */
	json_t *shared;                      /* the encoders that all clients have; NULL: no client was named */
	/* What was made. */
	struct blockz_delta_result result;
	struct blockz_delta_info head;
};

/*
 * Appends to out, an empty regular file open for reading and writing, the delta that makes NEW of OLD; applies it, and compares.
 * Without options.memory it takes half of what this process may.
 * Errors: those of blockz_delta(), BLOCKZ_FAILED (the delta does not make NEW).
 */
enum blockz_status delta_create(struct delta_creation *creation, const struct delta_env *env, const struct blockz_source *old,
				const struct blockz_source *new, int out, struct blockz_fault *fault);

/*
 * Says what was made, once it has its name, as text or with --json as an object; fd: of it, and from there its SHA-256.  path may
 * be "-".  Errors: BLOCKZ_FAILED.
 */
enum blockz_status delta_create_report(const struct delta_creation *creation, const struct delta_env *env, const char *path,
				       int fd, struct blockz_fault *fault);

#endif
