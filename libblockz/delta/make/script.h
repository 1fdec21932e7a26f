/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a delta says for one item of NEW: its script, ops and the bytes that they bring.  A script says where its content is in
 * OLD's space as the findings have it; sections.c gives that the place that it has in the delta.
 */
#ifndef DELTA_MAKE_SCRIPT_H
#define DELTA_MAKE_SCRIPT_H

#include "delta/make/walk.h"

/*
 * Appends an op; one that goes on where the last ended makes that longer, but not across the edge in OLD's space between the
 * file and the blocks.  False: no memory.
 */
bool ops_append(struct op **ops, size_t *count, struct op op, uint64_t edge);

/* Zeros at first. */
struct script {
	uint64_t edge; /* for ops_append() */
	struct op *ops;
	size_t op_count;
	uint64_t stream_len;
	struct buffer bytes[OP_COUNT]; /* of ADD, EXTRA and PACKED ops, each behind the other */
	size_t lens[OP_COUNT];
	size_t cost; /* as delta_write_sections() counts it, and something for a block */
};

void script_free(struct script *script);

/* Bytes that a script takes, of an item of this length, decoded. */
uint64_t script_memory(uint64_t new_len);

/* What one thread needs to make scripts. */
struct scripter;

/* The findings must live as long.  NULL: no memory.  scripter_free() takes a scripter or NULL, as a pool has it. */
struct scripter *scripter_new(const struct findings *findings);
void scripter_free(void *scripter);

/* Bytes that a scripter takes, for blocks of OLD and items of NEW up to these lengths, decoded. */
uint64_t scripter_memory(uint64_t old_longest, uint64_t new_longest);

/* Makes an item's script in the place of the one that was there.  Errors: BLOCKZ_FAILED, BLOCKZ_DAMAGED. */
enum blockz_status script_make(struct scripter *scripter, const struct item *item, struct script *script,
			       struct blockz_fault *fault);

#endif
