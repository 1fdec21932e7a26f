/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The header of an overlay: of which image it is, and of which file.
 *
 * It stands in two slots, of which each change overwrites the older one: a change that is torn leaves the other, and that is
 * as if nothing had been changed yet.  Little-endian, a slot:
 *
 *    0  magic "blockzO1"
 *    8  version u32: 1, 12 size of a page u32: 4096
 *   16  generation u64: one more with each change; an even one is in the first slot
 *   24  size of the image u64
 *   32  base: size of the file u64, digest of its ends u64, as a journal has it (journal/journal.h), and of its pieces u64
 *   56  next: the same of the file that a commit is about to make; zeros: none was begun
 *   80  XXH64 u64 (seed 0) of all that
 */
#ifndef JOURNAL_OVERLAY_HEADER_H
#define JOURNAL_OVERLAY_HEADER_H

#include <stdbool.h>
#include <stdint.h>

enum {
	OVERLAY_SLOTS = 2,
	OVERLAY_SLOT_LEN = 88,
	OVERLAY_SLOT_ROOM = 4096, /* from slot to slot: no sector of any disk has both */
	OVERLAY_HEADER_LEN = OVERLAY_SLOTS * OVERLAY_SLOT_ROOM,
};

/*
 * As much as an overlay knows of a file.  Variants of one image can be alike in size and at both ends, where nothing but checks
 * in the middle tells one from the other.  These stand at the ends of pieces, of which there is a digest, too.
 */
struct overlay_identity {
	uint64_t file_size, ends, pieces;
};

struct overlay_header {
	uint64_t generation;
	uint64_t image_size;
	struct overlay_identity base, next;
};

bool overlay_identity_is(const struct overlay_identity *a, const struct overlay_identity *b);

/* Writes OVERLAY_SLOT_LEN bytes. */
void overlay_slot_store(uint8_t *p, const struct overlay_header *header);

/* Where the slot of a header is in the overlay. */
uint64_t overlay_slot_off(const struct overlay_header *header);

/*
 * Reads the newer of the slots in OVERLAY_HEADER_LEN bytes.  NULL: it is good; else what is wrong, and *header_ret is
 * untouched.
 */
const char *overlay_header_load(const uint8_t *p, struct overlay_header *header_ret);

#endif
