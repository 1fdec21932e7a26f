/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Marks: places in long pieces from which cursors can go on, in bounded memory.  One thread at a time.
 *
 * They are wanted at a spacing, which doubles when there is no more room, and each second mark goes.
 */
#ifndef MAPPED_MARKS_H
#define MAPPED_MARKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	MARKS_BYTES_MAX = 16 << 20,
	MARKS_SPACING_MIN = 1 << 20, /* image bytes: some milliseconds of decoding */
};

struct mark {
	uint64_t pos; /* image offset */
	uint8_t *bytes;
	size_t len;
};

/* Starts as MARKS_INIT. */
struct marks {
	struct mark *items; /* ascending */
	size_t count;
	uint64_t bytes; /* that they take all together */
	uint64_t spacing;
};

#define MARKS_INIT { .spacing = MARKS_SPACING_MIN }

void marks_free(struct marks *marks);

/* The last mark at image offset pos or before; NULL: there is none. */
const struct mark *marks_find(const struct marks *marks, uint64_t pos);

/* True if there is none near pos; start, where its piece starts, is as good as one. */
bool marks_want(const struct marks *marks, uint64_t start, uint64_t pos);

/* Takes a copy of the bytes of a mark that is wanted.  Without memory for it there is none. */
void marks_add(struct marks *marks, uint64_t pos, const uint8_t *bytes, size_t len);

#endif
