/* SPDX-License-Identifier: BSD-3-Clause */
/* A file in memory that counts what is read of it, by any thread. */
#ifndef COUNTED_H
#define COUNTED_H

#include <stdatomic.h>

#include "memory.h"

struct counted {
	struct bytes bytes;
	atomic_size_t read;
};

/* As the operation of a source or a store whose ctx is a struct counted. */
int counted_read(void *ctx, void *buf, size_t len, uint64_t off, size_t *got_ret);

#endif
