/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the parts of planning share: plan.c has raw bytes, plan_anywhere.c compressed ones, plan_checks.c the checks.
 *
 * Edits of a mapped file live in edit/: what they need is found, encoded and kept as a plan before anything is written.  It
 * reads pieces by mapped/, calls formats by their rows, and hands a plan to the journal: a file that is there is written to by
 * transactions alone.  It knows no format by its name.
 */
#ifndef EDIT_PLANNER_H
#define EDIT_PLANNER_H

#include "mapped/piece.h"
#include "range/edit_parts.h"
#include "range/plan.h"

/* The check that was made anew last: where it stands twice, the second has the same value. */
struct renewed {
	uint64_t start, end; /* end 0: none yet */
	enum check_method method;
	uint8_t old[CHECK_LEN_MAX], new[CHECK_LEN_MAX];
};

struct planner {
	struct blockz_plan *plan;
	const struct blockz_source *file;
	const struct blockz_map *map;
	const struct blockz_edit *edits;
	const struct blockz_work *work;
	struct piece_reader reader;
	struct buffer old, new;
	const struct span *guarded; /* the span whose neighbours were looked at last */
	struct renewed renewed;
	const struct edit_part *parts; /* the edits, as parts that do not overlap */
	size_t part_count;
	size_t later_count; /* parts behind these, of bytes behind `kept` */
	uint64_t image_size; /* that is to come of it */
	uint64_t kept; /* up to here, the edge of a piece, the image keeps its pieces */
	bool opens;    /* pieces follow what has been the end of the stream */
	const struct new_end *end; /* NULL: the image keeps its size */
	size_t raw_count; /* the plan's writes of raw bytes, which are its first and ascend by image offset */
	/* Pieces that are encoded again, ascending: checks within them are not the plan's. */
	struct renewed_piece *pieces;
	size_t piece_count;
	struct blockz_fault *fault;
};

/*
 * Makes a plan of edits by what `plan_all` adds to it, and gives it away, or frees it.  Errors: BLOCKZ_USAGE, BLOCKZ_LIMIT,
 * BLOCKZ_UNSUPPORTED for a file whose index is none of ours, and those of plan_all.
 */
enum blockz_status planner_run(struct planner *planner, const struct blockz_edit *edits, size_t count,
			       enum blockz_status (*plan_all)(struct planner *planner), struct blockz_plan **plan_ret);

/* Plans the bytes that differ of [start, end), part of an edit, within a patchable span. */
enum blockz_status planner_add_raw(struct planner *planner, uint32_t edit, const struct span *span, uint64_t start,
				   uint64_t end);

/* Puts the new bytes of [start, start + len) that the parts from index `part` on have over old ones. */
enum blockz_status planner_lay_over(const struct planner *planner, size_t part, uint8_t *bytes, size_t len, uint64_t start,
				    struct blockz_fault *fault);

/*
 * Finds the first byte outside patchable spans in which the image and an edit differ, in [start, end).  *off_ret: its image
 * offset; BLOCKZ_UNKNOWN: there is none.
 */
enum blockz_status planner_compare(struct planner *planner, uint32_t edit, uint64_t start, uint64_t end, uint64_t *off_ret);

/* Plans the checks that all planned changes need; the writes are sorted then. */
enum blockz_status planner_add_checks(struct planner *planner);

/* True if the piece that ends at an image offset has been the end of the stream, and pieces are to follow it. */
static inline bool planner_opens(const struct planner *planner, uint64_t end)
{
	return planner->opens && end == planner->kept;
}

/* The piece that is encoded again and begins at an image offset; NULL: none. */
struct renewed_piece *renewed_find(const struct planner *planner, uint64_t start);

/* The first span from index on that can be patched; span_count: none. */
size_t planner_next_patchable(const struct blockz_map *map, size_t index);

#endif
