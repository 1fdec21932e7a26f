/* SPDX-License-Identifier: BSD-3-Clause */
/* A buffer that has to grow is replaced, and nothing is copied. */
#include "base/buffer.h"

#include <stdlib.h>

bool buffer_reserve(struct buffer *buffer, size_t len)
{
	if (buffer->bytes != NULL && len <= buffer->room)
		return true;
	uint8_t *bytes = malloc(len == 0 ? 1 : len);
	if (bytes == NULL)
		return false;
	free(buffer->bytes);
	buffer->bytes = bytes;
	buffer->room = len;
	return true;
}

void buffer_free(struct buffer *buffer)
{
	free(buffer->bytes);
	*buffer = (struct buffer){ 0 };
}
