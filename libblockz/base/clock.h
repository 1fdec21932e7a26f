/* SPDX-License-Identifier: BSD-3-Clause */
/* Time that work takes, whatever else the machine does. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

/* CPU time of this thread so far, in ns. */
static inline uint64_t thread_cpu_ns(void)
{
	struct timespec time;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
	return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

#endif
