/* SPDX-License-Identifier: BSD-3-Clause */
/* Arrays that grow at the end, an item at a time. */
#ifndef BASE_ARRAY_H
#define BASE_ARRAY_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Makes room for one more item behind count items of item_size bytes in the allocation items (NULL at first), and
 * returns it, or NULL, with items as they were, where memory is short.  The room doubles each time, so it is full
 * exactly when count is 0 or a power of two: no capacity needs to be kept.
 */
void *array_room(void *items, size_t count, size_t item_size);

#endif
