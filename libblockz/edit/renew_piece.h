/* SPDX-License-Identifier: BSD-3-Clause */
/* One piece that is decoded, changed and encoded again, as a job that any thread works on. */
#ifndef EDIT_RENEW_PIECE_H
#define EDIT_RENEW_PIECE_H

#include "edit/renew.h"
#include "edit/touched.h"

/* What a thread keeps between jobs: a reader and encoders. */
void *renew_thread_new(const struct planner *planner);
void renew_thread_free(void *thread);

/* Zeros at first, but for what it is to do. */
struct renew_job {
	const struct touched *touched;
	uint64_t room; /* it is to be exactly so long; UNKNOWN: as long as the file may grow */
	/* What comes of it. */
	struct revision revision;
	struct encoding encoding;
	bool fits;
	unsigned attempts; /* levels at which it was encoded, each about twice as dear as the one before */
	size_t changed; /* bytes of the image in it */
	uint64_t delta; /* what the edits do to the linear checks over it */
	uint8_t check[CHECK_LEN_MAX]; /* its own check, as it is now */
};

/*
 * Verifies and decodes the piece, lays the edits over, and encodes it.  Without fits, the encoding is the shortest there is.
 * Errors: those of decoding and encoding; BLOCKZ_FAILED.
 */
enum blockz_status renew_piece(const struct planner *planner, struct renew_job *job, void *thread, struct blockz_fault *fault);
void renew_job_release(void *job);

/* What came of it, for planner->pieces. */
struct renewed_piece renew_job_result(const struct planner *planner, const struct renew_job *job);

#endif
