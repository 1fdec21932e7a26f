/* SPDX-License-Identifier: BSD-3-Clause */
/* A block of memory that is replaced by a larger one when it has to be; its content is not kept. */
#ifndef BASE_BUFFER_H
#define BASE_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buffer {
	uint8_t *bytes;
	size_t room;
};

/* Makes room for len bytes (at least 1); false, with the buffer as it was, where memory is short. */
bool buffer_reserve(struct buffer *buffer, size_t len);
void buffer_free(struct buffer *buffer);

#endif
