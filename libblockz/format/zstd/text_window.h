/* SPDX-License-Identifier: BSD-3-Clause */
/* The end of a text that grows: as much of it as the blocks of a frame can refer to. */
#ifndef FORMAT_ZSTD_TEXT_WINDOW_H
#define FORMAT_ZSTD_TEXT_WINDOW_H

#include "base/buffer.h"

/* Whoever has the struct, zeros at first, frees ring. */
struct text_window {
	struct buffer ring;
	size_t size; /* of the ring */
	size_t pos;  /* in it: where the next byte goes */
	size_t len;  /* so much of it is text */
};

/* Makes room for size bytes, not 0.  Returns false without memory. */
bool text_window_begin(struct text_window *window, size_t size);
void text_window_add(struct text_window *window, const uint8_t *bytes, size_t len);

struct text_part {
	const uint8_t *bytes;
	size_t len;
};

/* Gives the last len bytes, or all if there are fewer, as two parts, either of which may be empty. */
void text_window_last(const struct text_window *window, size_t len, struct text_part parts_ret[2]);

#endif
