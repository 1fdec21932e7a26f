/* SPDX-License-Identifier: BSD-3-Clause */
/* The room of an array follows from its count. */
#include "base/array.h"

#include <stdint.h>
#include <stdlib.h>

void *array_room(void *items, size_t count, size_t item_size)
{
	if ((count & (count - 1)) != 0)
		return items;
	size_t room = count == 0 ? 1 : 2 * count;
	if (room > SIZE_MAX / item_size)
		return NULL;
	return realloc(items, room * item_size);
}
