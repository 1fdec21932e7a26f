/* SPDX-License-Identifier: BSD-3-Clause */
/* Somebody who is told of progress, and stops the work at a chosen call. */
#ifndef WATCH_H
#define WATCH_H

#include "memory.h"

struct watch {
	unsigned calls, stop_at; /* counted from 1 */
	uint64_t image_done, file_done;
	bool backwards; /* less was done than before */
	bool still;     /* or no more of the image */
};

struct blockz_work watched_work(struct watch *self, unsigned threads);

/* Work that was stopped has failed, was not asked again, and says why; any other has not failed. */
void assert_watched(const struct watch *self, enum blockz_status status, const struct blockz_fault *fault);

#endif
