/* SPDX-License-Identifier: BSD-3-Clause */
/* Codes streams by whatever makes them smallest. */
#ifndef DELTA_FILE_STREAM_WRITE_H
#define DELTA_FILE_STREAM_WRITE_H

#include "delta/file/layout.h"
#include "delta/file/write.h"

enum { STREAMS_AT_ONCE_MAX = DELTA_SECTIONS_AT_ONCE * STREAM_COUNT_MAX };

struct stream {
	const uint8_t *plain;
	size_t plain_len;
	size_t dictionary_max;
	/* Set by streams_encode(): */
	uint8_t method; /* enum stream_method */
	uint8_t *coded; /* the caller's to free; NULL for STREAM_NONE */
	size_t coded_len;
};

/* What both sides take for the dictionary of a stream. */
size_t stream_dictionary(uint64_t plain_len, size_t dictionary_max);

/* Bytes of memory that coding a stream takes, and what comes of it, which is half as long or less as a rule. */
uint64_t streams_coder_memory(uint64_t plain_len);

/* Codes count streams in parallel; the result does not depend on threads.  Errors: BLOCKZ_FAILED (no memory). */
enum blockz_status streams_encode(struct stream *streams, size_t count, unsigned threads, struct blockz_fault *fault);

#endif
