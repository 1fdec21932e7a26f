/* SPDX-License-Identifier: BSD-3-Clause */
/* What the tests of packing, mapping, reading, patching and verifying have in common: images, and files made of them. */
#ifndef IMAGES_H
#define IMAGES_H

#include "judge.h"
#include "memory.h"
#include "random.h"

/* ---- Images ---- */

struct blockz_range rnd_range(uint64_t limit); /* within [0, limit), not empty */

enum image_kind {
	IMAGE_ZEROS,
	IMAGE_NOISE, /* does not compress */
	IMAGE_TEXT,
	IMAGE_LINES, /* some text in each 4 KiB, and zeros behind it, which no encoder spends time on */
	IMAGE_DISK, /* runs of all of them, some of them repeated */
	IMAGE_KINDS,
};

struct bytes image_new(enum image_kind kind, size_t len);
void fill_text(uint8_t *data, size_t len);

/* ---- Files ---- */

/* Packs to a rewritable sink; options.format is set here.  result_ret may be NULL. */
struct bytes pack_image(const struct blockz_format *format, struct bytes image, struct blockz_pack_options options,
			struct blockz_pack_result *result_ret);
struct blockz_map *map_of(struct blockz_source file, bool scan);

/* An edit that takes the new bytes of a range from a whole edited image. */
struct blockz_edit edit_from(struct bytes edited, struct blockz_range range);

/* A plan that has to be possible, by the file's map. */
struct blockz_plan *plan_of(struct bytes file, bool scan, const struct blockz_edit *edits, size_t count);

/*
 * Plans edits by the file's map and carries the plan out; what the store sees are exactly the planned writes, and where
 * the plan is refused it sees none.  info_ret may be NULL.
 */
enum blockz_status patch_file(struct bytes file, bool scan, const struct blockz_edit *edits, size_t count,
			      struct blockz_plan_info *info_ret, struct blockz_fault *fault);

/* One edit that is known to be possible. */
void patch_range(struct bytes file, bool scan, struct bytes edited, struct blockz_range range);

/*
 * Turns the ranges over, and back again.  A check covers all of these bytes, or none does.  Returns the file between the two,
 * which the judge has read.
 */
struct bytes patch_and_back(const char *format, struct bytes file, bool scan, struct bytes image,
			    const struct blockz_range *ranges, size_t count, bool checked);

/* Turns each bit of a range over. */
void complement(struct bytes image, struct blockz_range range);

/* Verifies, in full or quickly. */
enum blockz_status verify_file(struct bytes file, bool quick, struct blockz_verify_result *result_ret,
			       struct blockz_fault *fault);
void assert_verifies(struct bytes file);

/* All of the image, as a reader gets it by one of the maps; false: refused. */
bool extracts(struct bytes file, bool scan, struct bytes *image_ret);

/* A file by any writer is the image: for the judge, for verify, and read by its index and by a scan. */
void assert_reads(const struct blockz_format *format, struct bytes file, struct bytes image);

/*
 * Verifies a file that may be anything; true if it is called good, with nothing appended, which then it has to be: for the
 * judge, and to the same bytes, which are left in room.data, *len_ret of them.  With something appended it has to be, too.
 */
bool called_good(const struct blockz_format *format, struct bytes file, struct bytes room, size_t *len_ret);

#endif
