/* SPDX-License-Identifier: BSD-3-Clause */
/* Reads the bytes of a delta from its beginning to its end, and compares the checks between them. */
#ifndef DELTA_FILE_INPUT_H
#define DELTA_FILE_INPUT_H

#include "blockz.h"

struct input {
	const struct blockz_source *source;
	uint64_t off;  /* in the delta, of the next byte that is asked for */
	uint32_t crc;  /* of all before it but checks */
	size_t start, end; /* of bytes: read and not asked for yet */
	uint8_t bytes[32768];
};

void input_init(struct input *input, const struct blockz_source *source);

/* Errors: BLOCKZ_DAMAGED (the delta ends), BLOCKZ_FAILED.  The first call reads no more than DELTA_HEAD_MAX bytes of the source. */
enum blockz_status input_read(struct input *input, void *buf, size_t len, struct blockz_fault *fault);

/* Reads a check, and compares it.  `what` is checked, from delta offset start on. */
enum blockz_status input_check(struct input *input, const char *what, uint64_t start, struct blockz_fault *fault);

/* BLOCKZ_DAMAGED where anything follows. */
enum blockz_status input_end(struct input *input, struct blockz_fault *fault);

#endif
