/* SPDX-License-Identifier: BSD-3-Clause */
/* What stays as it is of a file gets into another inside the kernel, which shares blocks where the file system can. */
#ifndef FILES_KERNEL_SINK_H
#define FILES_KERNEL_SINK_H

#include "blockz.h"
#include "files/compressed.h"

/* Must not be moved while it is open: the sink points into it. */
struct kernel_sink {
	struct blockz_sink sink; /* for blockz_plan_copy() */
	/* Private. */
	struct blockz_fd_sink memory;
	struct blockz_sink plain;
	int from;
};

/*
 * A sink that appends to the regular file `to`, at its current position, what a plan makes of a file that was opened by its
 * name.  Where that name means another file by now, all is read and written.
 */
void kernel_sink_open(struct kernel_sink *self, const struct compressed *file, int to);

/* Leaves `to` open. */
void kernel_sink_close(struct kernel_sink *self);

#endif
