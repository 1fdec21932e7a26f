/* SPDX-License-Identifier: BSD-3-Clause */
/* A file as its container lists it, with each block decoded. */
#ifndef TAKEN_APART_H
#define TAKEN_APART_H

#include "blockz_delta.h"
#include "container/container.h"
#include "memory.h"

struct taken_apart {
	struct bytes file;
	struct blocks blocks;
	struct bytes *plain; /* of each block */
};

/* Reads a file that can be read, checks what holds of any list, and decodes; lzo may be NULL. */
struct taken_apart take_apart(struct bytes file, const struct blockz_lzo *lzo);
void taken_apart_free(struct taken_apart *self);

/* Items ascend, do not overlap, and lie within the size; and that within the file. */
void assert_list(const struct blocks *blocks, uint64_t file_size);

/* A file that is treated as plain bytes, for a reason that has these words in it; NULL: for none. */
void assert_plain(struct bytes file, const char *reason);

#endif
