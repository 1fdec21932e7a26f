/* SPDX-License-Identifier: BSD-3-Clause */
/* Images and files larger than memory: mostly holes, or mostly the same bytes again. */
#ifndef SPARSE_H
#define SPARSE_H

#include "images.h"

enum { SPARSE_PARTS = 8, FOLDED_KINDS = 16 };

/* An image of zeros with a few parts of data, ascending. */
struct sparse {
	uint64_t size;
	struct {
		uint64_t off;
		struct bytes bytes;
	} parts[SPARSE_PARTS];
	size_t count;
	uint64_t bytes_read;
};

/* A source that knows its holes, or one that does not. */
struct blockz_source sparse_source(struct sparse *self, bool knows_holes);

/* A file that keeps equal writes once. */
struct folded {
	uint64_t size;
	struct folded_part {
		uint64_t off;
		struct bytes bytes;
	} *parts;
	size_t count, room;
	struct bytes kinds[FOLDED_KINDS]; /* what was written last, all different */
	size_t next_kind;
};

struct blockz_sink folded_sink(struct folded *self); /* can be rewritten within its first write */
struct blockz_source folded_source(struct folded *self);
struct blockz_store folded_store(struct folded *self); /* without a journal */

#endif
