/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A block map that is kept true through an edit of its image.
 *
 *	bmap_update_open() ... a plan is made ... bmap_update_make() ... output_hold() ... the edit ... bmap_update_commit()
 *	bmap_update_close() in any case
 *
 * Blocks that the edit changes become mapped; one that it leaves as it is stays as it is.  Of the image only mapped
 * ranges with such blocks in them are read, old and new bytes in one pass.
 */
#ifndef BMAP_BMAP_UPDATE_H
#define BMAP_BMAP_UPDATE_H

#include <jansson.h>

#include "bmap/bmap.h"
#include "files/output.h"
#include "patch/edits.h"

/* One that is closed. */
#define BMAP_UPDATE_INIT { .output = OUTPUT_INIT }

struct bmap_update {
	const char *path;
	struct bmap before, after;
	struct output output;      /* the new map */
	uint64_t added_blocks;     /* that were not mapped before */
	uint64_t renewed_ranges;   /* of the new map: those with new checksums */
	bool changed;              /* there is a new map */
	bool image_is_to_blame;    /* a fault speaks of the image, not of the map */
};

/*
 * Reads the map at path, which must live as long.  for_good: locks it and creates a temporary file beside it, as
 * output_open_file() does, with this audience.  Errors: those of bmap_read() and output_open_file().
 */
enum blockz_status bmap_update_open(struct bmap_update *update, const char *path, bool for_good, const struct audience *audience,
				    struct blockz_fault *fault);

/* An edit that is planned and not done. */
struct bmap_edit {
	const struct blockz_source *file;
	const struct blockz_map *map;
	const struct blockz_plan *plan;
	const struct edits *edits;      /* that the plan was made from */
	const struct blockz_work *work;
};

/*
 * Checks that the old map describes the image where the edit touches it, and makes the new one; opened for good, it is
 * written to the temporary file.  An empty plan makes none: then the old map is checked over all that the edit names,
 * for the edit can have been done before, and its map have been lost in a crash.
 * Errors: BLOCKZ_DAMAGED (it does not describe the image), BLOCKZ_LIMIT, BLOCKZ_FAILED, those of blockz_extract().
 */
enum blockz_status bmap_update_make(struct bmap_update *update, const struct bmap_edit *edit, struct blockz_fault *fault);

/* Gives a new map its name.  Errors: those of output_commit(). */
enum blockz_status bmap_update_commit(struct bmap_update *update, struct blockz_fault *fault);

/* {"path", "added_blocks", "renewed_ranges"}; NULL: no memory. */
json_t *bmap_update_json(const struct bmap_update *update);

/* Fine for one that is closed, and twice. */
void bmap_update_close(struct bmap_update *update);

#endif
