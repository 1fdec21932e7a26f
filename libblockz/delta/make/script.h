/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * NEW, item by item as it lies in the file, and what a delta says for each: its script.  Items do not depend on each
 * other, so scripts are made in parallel and joined in order.
 */
#ifndef DELTA_MAKE_SCRIPT_H
#define DELTA_MAKE_SCRIPT_H

#include "delta/differ/differ.h"
#include "delta/make/plain_text.h"
#include "delta/make/select.h"
#include "delta/file/old_space.h"
#include "delta/file/delta.h"

/* What scripts are made from; threads share it. */
struct items {
	const struct image *old, *new;
	const struct selection *selection;
	const struct codec_env *env;
	const struct plain_text *old_text, *new_text;
	const struct matches *matches; /* of new_text in old_text */
	struct old *space;             /* OLD's space, in which all wanted blocks are listed, */
	const uint64_t *places; /* and where in it the content of each begins; of the others, where that of the next does */
};

/* The block of OLD whose content holds a place in OLD's space that is behind the file. */
size_t items_old_block_at(const struct items *items, uint64_t place);

struct item {
	uint8_t fate;   /* as of a block; bytes between blocks are open */
	uint32_t block; /* TEXT_NO_BLOCK: bytes between blocks */
	size_t part;    /* open: of new_text */
	uint64_t file_off, file_len;
};

/* Goes through NEW; zeros at first. */
struct items_walk {
	size_t block, part;
	uint64_t pos;
};

bool items_next(const struct items *items, struct items_walk *walk, struct item *item_ret); /* false at the end */

/*
 * Appends an op; one that goes on where the last ended makes that longer, but not across the edge in OLD's space between the
 * file and the blocks.  False: no memory.
 */
bool ops_append(struct op **ops, size_t *count, struct op op, uint64_t edge);

/* What the delta says for one item. */
struct script {
	uint64_t edge; /* for ops_append() */
	struct op *ops; /* in OLD's space as in struct items */
	size_t op_count;
	uint64_t stream_len;
	struct buffer bytes[OP_COUNT]; /* of ADD, EXTRA and PACKED ops, each behind the other */
	size_t lens[OP_COUNT];
	size_t cost; /* as delta_write_sections() counts it, and something for a block */
};

void script_free(struct script *script);

/* Of one thread. */
struct scripter;

/* NULL: no memory.  scripter_free() takes what scripter_new() gave, or NULL. */
void *scripter_new(const struct items *items);
void scripter_free(void *scripter);

/* Makes an item's script anew. */
enum blockz_status script_make(struct scripter *scripter, const struct item *item, struct script *script,
			       struct blockz_fault *fault);

/* About how many bytes of a delta a script takes: less than compressed for itself alone, whatever comes before it. */
enum blockz_status script_price(struct scripter *scripter, const struct script *script, uint64_t *price_ret,
				struct blockz_fault *fault);

#endif
