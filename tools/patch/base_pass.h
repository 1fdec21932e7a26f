/* SPDX-License-Identifier: BSD-3-Clause */
/* One pass over the base of a composition: all of it is hashed, and parts of it go to the result on the way. */
#ifndef PATCH_BASE_PASS_H
#define PATCH_BASE_PASS_H

#include "blockz.h"
#include "files/digest.h"

struct base_pass {
	const struct blockz_source *base;
	const struct blockz_work *work; /* of which only the progress is used */
	uint64_t pos;
	/* Private. */
	struct digest digest;
	void *buf;
};

/* base and work must live as long; to be freed in any case.  Errors: BLOCKZ_FAILED. */
enum blockz_status base_pass_start(struct base_pass *self, const struct blockz_source *base, const struct blockz_work *work,
				   struct blockz_fault *fault);

/* Goes on to `end`, and writes what it passes to the sink (NULL: to none).  Errors: BLOCKZ_FAILED, about the output if that. */
enum blockz_status base_pass_to(struct base_pass *self, uint64_t end, const struct blockz_sink *sink, struct blockz_fault *fault);

/* Goes to the end, and gives the digest of all.  Errors: BLOCKZ_FAILED. */
enum blockz_status base_pass_finish(struct base_pass *self, char sha256_ret[DIGEST_HEX], struct blockz_fault *fault);

/* Fine for zeros, and twice. */
void base_pass_free(struct base_pass *self);

#endif
