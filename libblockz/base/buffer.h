/* SPDX-License-Identifier: BSD-3-Clause */
/* Memory that is replaced by more of it when it has to be; its content is not kept.  All zeros at first. */
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
/* Frees the bytes, and leaves an empty buffer. */
void buffer_free(struct buffer *buffer);

#endif
