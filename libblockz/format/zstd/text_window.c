/* SPDX-License-Identifier: BSD-3-Clause */
/* A ring of bytes. */
#include "format/zstd/text_window.h"

#include <string.h>

bool text_window_begin(struct text_window *window, size_t size)
{
	window->size = size;
	window->pos = window->len = 0;
	return buffer_reserve(&window->ring, size);
}

void text_window_add(struct text_window *window, const uint8_t *bytes, size_t len)
{
	if (len > window->size) {
		bytes += len - window->size;
		len = window->size;
	}
	size_t behind = window->size - window->pos, first = len < behind ? len : behind;
	if (len == 0)
		return;
	memcpy(window->ring.bytes + window->pos, bytes, first);
	memcpy(window->ring.bytes, bytes + first, len - first);
	window->pos = (window->pos + len) % window->size;
	window->len = window->size - window->len < len ? window->size : window->len + len;
}

void text_window_last(const struct text_window *window, size_t len, struct text_part parts_ret[2])
{
	len = len < window->len ? len : window->len;
	const uint8_t *bytes = window->ring.bytes;
	size_t second = len < window->pos ? len : window->pos, first = len - second;
	parts_ret[0] = (struct text_part){ bytes + (window->size - first), first };
	parts_ret[1] = (struct text_part){ bytes + (window->pos - second), second };
}
