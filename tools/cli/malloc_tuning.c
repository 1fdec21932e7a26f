/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli/malloc_tuning.h"

#include <stdlib.h>

#ifdef __GLIBC__
#include <malloc.h>

/* Left alone, glibc keeps pieces of up to 32 MiB, and those of each thread for that thread: dictionaries, in eight places. */
enum { LONG = 1 << 20, ARENAS = 2 };

void heap_give_back(void)
{
	mallopt(M_MMAP_THRESHOLD, LONG);
	mallopt(M_ARENA_MAX, ARENAS);
}
#else
void heap_give_back(void)
{
}
#endif
