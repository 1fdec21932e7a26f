/* SPDX-License-Identifier: BSD-3-Clause */
/* Each byte is compared with the one before it, at the speed of memcmp(); data is asked for where a source can tell. */
#include "files/holes.h"

#include <string.h>

bool bytes_are_zeros(const void *bytes, size_t len)
{
	const unsigned char *first = bytes;
	return first[0] == 0 && memcmp(first, first + 1, len - 1) == 0;
}

int holes_find_data(const struct blockz_source *source, uint64_t off, struct blockz_range *data_ret)
{
	struct blockz_range data = { off, source->size };
	int error = source->ops->next_data == NULL ? 0 : source->ops->next_data(source->ctx, off, &data.start, &data.end);
	if (error == 0)
		*data_ret = data;
	return error;
}
