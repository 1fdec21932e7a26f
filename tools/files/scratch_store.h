/* SPDX-License-Identifier: BSD-3-Clause */
/* A store over an unnamed file, for what is planned and not yet written. */
#ifndef FILES_SCRATCH_STORE_H
#define FILES_SCRATCH_STORE_H

#include "blockz.h"

/* Must not be moved while it is open: the store points into it. */
struct scratch_store {
	struct blockz_store store; /* it reads and writes, and has no journal */
	/* Private. */
	int dirfd; /* -1: it lies elsewhere */
	int held;  /* an unnamed file of nothing but room; -1: none */
	int fd;
	struct blockz_fd_sink memory;
	struct blockz_sink sink;
	struct blockz_source source;
};

/*
 * Opens one in the directory dirfd, which must live as long, or where that takes none, or is -1, as scratch_open() does.
 * Errors: BLOCKZ_FAILED.
 */
enum blockz_status scratch_store_open(struct scratch_store *self, int dirfd, struct blockz_fault *fault);

/*
 * Holds room for a file of so many bytes in the directory, if it can, until it is released, as the first user of that file does
 * just before.  ctx is the store, for struct blockz_anywhere.  Errors: those of room_take().
 */
enum blockz_status scratch_store_hold(void *ctx, uint64_t len, struct blockz_fault *fault);
void scratch_store_release(struct scratch_store *self);

/* Fine for zeros, and twice. */
void scratch_store_close(struct scratch_store *self);

#endif
