/* SPDX-License-Identifier: BSD-3-Clause */
/* glibc's malloc() is tuned with mallopt(3); other C libraries keep little. */
#include "cli/malloc_tuning.h"

#include <stdlib.h>

#ifdef __GLIBC__
#include <malloc.h>

/*
 * Left alone, glibc keeps freed allocations of up to 32 MiB, and those of each thread for that thread: dictionaries, in
 * eight places.
 */
enum { LONG = 1 << 20, ARENAS = 2 };

void malloc_tuning_apply(void)
{
	mallopt(M_MMAP_THRESHOLD, LONG);
	mallopt(M_ARENA_MAX, ARENAS);
}
#else
void malloc_tuning_apply(void)
{
}
#endif
