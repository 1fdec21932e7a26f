/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a splice is given and what it tells, whatever the format: it gets the edited text, and what it says of this is compared
 * with the old image and the new one.
 */
#ifndef SPLICES_H
#define SPLICES_H

#include "format/format.h"
#include "images.h"

enum { SPLICE_EDITS_MAX = 64 };

/* Bytes of the file, and those in their place. */
struct replaced {
	struct blockz_range old;
	struct bytes bytes;
};

struct splice_record {
	struct bytes file, image, edited;
	struct bytes told;  /* the old image, with what was said to have changed */
	uint64_t image_pos; /* behind what was told last */
	struct replaced *replaced; /* in the order in which they were told */
	size_t replaced_count, replaced_room;
	uint64_t replaced_len; /* bytes of the file that are replaced, */
	uint64_t growth;       /* and how many more there are in their place, modulo 2^64 */
	bool keep_length;
	unsigned fail_at; /* the callback that fails, by a fault at offset 77, counted from 1; 0: none */
	unsigned calls;
};

struct splice_record splice_record(struct bytes file, struct bytes image, struct bytes edited);

/* Callbacks of struct piece_edit and struct renewal, of which ctx is a record. */
enum blockz_status record_lay_over(void *ctx, uint8_t *bytes, size_t len, uint64_t off, struct blockz_fault *fault);
enum blockz_status record_replace(void *ctx, struct blockz_range old, const uint8_t *bytes, size_t len,
				  struct blockz_fault *fault);
enum blockz_status record_changed(void *ctx, uint64_t off, const uint8_t *old, const uint8_t *new, size_t len,
				  struct blockz_fault *fault);

/* What was replaced does not overlap; from now on it is in the order of the file.  in_order: it has to be so already. */
void record_sort(struct splice_record *record, bool in_order);
/* The new file, of a record that is sorted. */
struct bytes record_result(const struct splice_record *record);

/* New bytes for a range: other text, text from near by, noise, zeros, or the complement. */
void edit_range(struct bytes edited, struct blockz_range range);
/* Ranges that are apart, most of a few bytes, some at the image's edges and of up to long_len; returns how many. */
size_t rnd_edits(uint64_t image_len, uint64_t long_len, struct blockz_range ranges[SPLICE_EDITS_MAX]);

#endif
