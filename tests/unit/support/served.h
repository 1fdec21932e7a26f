/* SPDX-License-Identifier: BSD-3-Clause */
/* A file in a directory of its own, open as a disk, and the image that it should have. */
#ifndef SERVED_H
#define SERVED_H

#include "commits.h"
#include "images.h"
#include "scratch.h"

enum { SERVED_LEN = 5 * MIB + 12345, SERVED_PIECE = 256 * KIB, SERVED_CACHE = MIB, SERVED_RAWS = 3, SERVED_VARIANTS = 8 };

extern const struct blockz_range served_raw[SERVED_RAWS];

extern const struct served_variant {
	const char *format, *check;
	bool no_index;
	uint64_t group; /* 0: the index has none */
} served_variants[SERVED_VARIANTS];

struct served {
	const char *format;
	struct scratch scratch;
	struct bytes image;
	struct blockz_disk *disk;
	struct blockz_overlay *overlay; /* NULL: none is open */
	struct growing_store memory;    /* for what a flush commits */
	struct blockz_store temporary;
	struct blockz_fault fault; /* of the last call */
};

/* Of all kinds, with 1 MiB of zeros. */
struct bytes served_image(void);

/* The file is given, or packed with the raw ranges of served_raw; the last one takes served_image(). */
void served_prepare(struct served *self, const char *format, struct bytes image, struct bytes file);
void served_pack(struct served *self, const struct served_variant *variant, struct bytes image);
void served_prepare_variant(struct served *self, const struct served_variant *variant);
void served_free(struct served *self);

struct bytes served_file(const struct served *self);
void served_write_file(const struct served *self, struct bytes file);
bool served_has_journal(const struct served *self);

enum blockz_status served_open(struct served *self, enum blockz_store_mode mode, enum blockz_commit commit);

/* Opened to be written to; and closed with the file committed. */
void served_start(struct served *self, enum blockz_commit commit);
void served_close(struct served *self);

/* With an overlay, so that it can be written to anywhere; and closed, with the overlay left. */
enum blockz_status served_open_anywhere(struct served *self, enum blockz_commit commit);
void served_start_anywhere(struct served *self, enum blockz_commit commit);
void served_leave(struct served *self);
bool served_has_overlay(const struct served *self);

/* Brings an overlay that was left into the file, in place or by a new one. */
void served_bring_in(struct served *self, enum blockz_way way);

/* The file, by others, and the disk have the image. */
void assert_file_is_right(const struct served *self);
void assert_served(struct served *self);

#endif
