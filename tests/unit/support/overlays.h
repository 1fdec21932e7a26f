/* SPDX-License-Identifier: BSD-3-Clause */
/* A file in memory and the overlay beside it, each in a store in which everything can go wrong. */
#ifndef OVERLAYS_H
#define OVERLAYS_H

#include "journal/overlay.h"
#include "memory.h"
#include "stores.h"

enum { PAGE = BLOCKZ_OVERLAY_PAGE };

struct beside {
	struct memory_store file, place; /* of place the journal alone is of interest: it is the overlay */
	struct blockz_store file_table, place_table;
	overlay_digest *digest; /* NULL, unless the test sets it: a file has no pieces */
	struct blockz_overlay *overlay;
	struct blockz_fault fault; /* of the last call */
};

/* The file has these bytes, which need not be a stream. */
void beside_init(struct beside *self, struct bytes file);
void beside_free(struct beside *self);

/* Opens the overlay again, whatever it was, of the file as it is now. */
enum blockz_status beside_open(struct beside *self, enum blockz_overlay_mode mode);
void beside_close(struct beside *self);

/* Opens it, which has to succeed, and returns what it is. */
struct blockz_overlay_info beside_look(struct beside *self);

/* Opens it to be written to, for an image of so many bytes, which has to succeed. */
void beside_begin(struct beside *self, uint64_t image_size);

/* Adds or overwrites a page, all of whose bytes are this. */
enum blockz_status beside_put(struct beside *self, uint64_t page, uint8_t byte);

/* True if the page is held, and all of its bytes are this. */
bool beside_has(struct beside *self, uint64_t page, uint8_t byte);

#endif
