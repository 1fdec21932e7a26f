/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Deltas in SquashDelta's format, for blockz-delta and blockz-merge.  Expanded files lie in unnamed files meanwhile,
 * as xdelta3 seeks in them: as large as both expanded images when a delta is made, and when it is applied.
 */
#ifndef DELTAS_SQUASHDELTA_H
#define DELTAS_SQUASHDELTA_H

#include "blockz_delta.h"
#include "cli/cli.h"

struct squashdelta {
	struct cli *cli; /* for its progress */
	unsigned threads;
	const struct blockz_lzo *lzo; /* NULL: none */
	int dirfd;                    /* of the unnamed files; see scratch_open() */
};

struct squashdelta_result {
	struct blockz_squashdelta_info old, new; /* the blocks that are decoded; old: zeros for a single image */
};

enum { DELTA_HEAD_LEN = 4096 }; /* what a delta says of itself stands in so many bytes */

/* A delta of which the first bytes were looked at. */
struct squashdelta_delta {
	struct blockz_source inner;
	uint8_t head[DELTA_HEAD_LEN];
	size_t head_len;
	bool yes; /* it is SquashDelta's */
};

/*
 * Whether a delta is one of SquashDelta's, by its magic: self->yes.  A stream is as new afterwards: *delta becomes a
 * source over self, which is the caller's to keep as long, that gives the same bytes.  Errors: BLOCKZ_FAILED.
 */
enum blockz_status squashdelta_recognise(struct squashdelta_delta *self, struct blockz_source *delta,
					 struct blockz_fault *fault);

/*
 * Appends to out, an empty regular file open for reading and writing, the delta that makes one image of another;
 * applies it, and compares.  Errors: those of blockz_squashdelta_choose(), BLOCKZ_FAILED (xdelta3, no room, the delta
 * does not make the image).
 */
enum blockz_status squashdelta_make(const struct squashdelta *self, const struct blockz_source *old_image,
				    const struct blockz_source *new_image, int out, struct squashdelta_result *result_ret,
				    struct blockz_fault *fault);

/* Says what was made, once it has its name; fd: of it, and from there its SHA-256 for JSON.  path may be "-". */
enum blockz_status squashdelta_report(const struct squashdelta *self, const char *path, int fd,
				      const struct squashdelta_result *result, struct blockz_fault *fault);

/* Prints what the header of a delta says.  Errors: those of blockz_squashdelta_read(). */
enum blockz_status squashdelta_print(const struct cli *cli, const char *path, const struct blockz_source *delta,
				     struct blockz_fault *fault);

/*
 * Appends to the sink the image that a delta, which may be a stream, makes of another image.  That it is the right one
 * cannot be known: the format has no digest of it.
 * Errors: BLOCKZ_DAMAGED (the delta; or it is for another image), BLOCKZ_UNSUPPORTED, BLOCKZ_LIMIT, BLOCKZ_FAILED.
 */
enum blockz_status squashdelta_apply(const struct squashdelta *self, const struct blockz_source *old_image,
				     const struct blockz_source *delta, const struct blockz_sink *sink,
				     struct blockz_fault *fault);

/* Appends to out the expanded file of one image, all that can be decoded.  Errors: as of squashdelta_make(). */
enum blockz_status squashdelta_expand(const struct squashdelta *self, const struct blockz_source *image, int out,
				      struct squashdelta_result *result_ret, struct blockz_fault *fault);

/* Appends to the sink the image of an expanded file.  Errors: those of blockz_squashdelta_squash(). */
enum blockz_status squashdelta_squash(const struct squashdelta *self, const struct blockz_source *expanded,
				      const struct blockz_sink *sink, struct blockz_fault *fault);

#endif
