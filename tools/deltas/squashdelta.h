/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Deltas in SquashDelta's format, for blockz-delta and blockz-merge.  Expanded files lie in unnamed files meanwhile,
 * as xdelta3 seeks in them: as large as both expanded images when a delta is made, and when it is applied.
 */
#ifndef DELTAS_SQUASHDELTA_H
#define DELTAS_SQUASHDELTA_H

#include "blockz_delta.h"
#include "cli/cli.h"
#include "deltas/delta_env.h"

struct squashdelta_result {
	struct blockz_squashdelta_info old, new; /* the blocks that are decoded; old: zeros for a single image */
};

/*
 * Appends to out, an empty regular file open for reading and writing, the delta that makes one image of another;
 * applies it, and compares.  Errors: those of blockz_squashdelta_choose(), BLOCKZ_FAILED (xdelta3, no room, the delta
 * does not make the image).
 */
enum blockz_status squashdelta_make(const struct delta_env *env, const struct blockz_source *old_image,
				    const struct blockz_source *new_image, int out, struct squashdelta_result *result_ret,
				    struct blockz_fault *fault);

/* Says what was made, once it has its name; fd: of it, and from there its SHA-256 for JSON.  path may be "-". */
enum blockz_status squashdelta_report(const struct delta_env *env, const char *path, int fd,
				      const struct squashdelta_result *result, struct blockz_fault *fault);

/* Prints what the header of a delta says.  Errors: those of blockz_squashdelta_read(). */
enum blockz_status squashdelta_print(const struct cli *cli, const char *path, const struct blockz_source *delta,
				     struct blockz_fault *fault);

/*
 * Appends to the sink the image that a delta, which may be a stream, makes of another image.  That it is the right one
 * cannot be known: the format has no digest of it.
 * Errors: BLOCKZ_DAMAGED (the delta; or it is for another image), BLOCKZ_UNSUPPORTED, BLOCKZ_LIMIT, BLOCKZ_FAILED.
 */
enum blockz_status squashdelta_apply(const struct delta_env *env, const struct blockz_source *old_image,
				     const struct blockz_source *delta, const struct blockz_sink *sink,
				     struct blockz_fault *fault);

/* Appends to out the expanded file of one image, all that can be decoded.  Errors: as of squashdelta_make(). */
enum blockz_status squashdelta_expand(const struct delta_env *env, const struct blockz_source *image, int out,
				      struct squashdelta_result *result_ret, struct blockz_fault *fault);

/* Appends to the sink the image of an expanded file.  Errors: those of blockz_squashdelta_squash(). */
enum blockz_status squashdelta_squash(const struct delta_env *env, const struct blockz_source *expanded,
				      const struct blockz_sink *sink, struct blockz_fault *fault);

#endif
