/* SPDX-License-Identifier: BSD-3-Clause */
/* A read is sequential if it begins where one of the last few ended. */
#include "disk/ahead.h"

#include <string.h>

bool ahead_is_sequential(struct ahead *ahead, uint64_t off, uint64_t end)
{
	for (unsigned i = 0; i < AHEAD_STREAMS; i++) {
		if (off != 0 && ahead->ends[i] == off) {
			ahead->ends[i] = end;
			return true;
		}
	}
	ahead->ends[ahead->next++ % AHEAD_STREAMS] = end;
	return false;
}

bool ahead_push(struct ahead *ahead, uint64_t off)
{
	for (size_t i = 0; i < ahead->count; i++)
		if (ahead->queue[i] == off)
			return false;
	if (ahead->count == AHEAD_QUEUE)
		return false;
	ahead->queue[ahead->count++] = off;
	return true;
}

bool ahead_pop(struct ahead *ahead, uint64_t *off_ret)
{
	if (ahead->count == 0)
		return false;
	*off_ret = ahead->queue[0];
	memmove(ahead->queue, ahead->queue + 1, --ahead->count * sizeof(ahead->queue[0]));
	return true;
}
