/* SPDX-License-Identifier: BSD-3-Clause */
/* Encoding goes by what the format says that its encoder takes, and writing by what is written. */
#include "edit/estimate.h"

#include "base/checked.h"
#include "base/export.h"
#include "edit/may_patch.h"
#include "mapped/piece.h"

/* Lengths of pieces in bytes; a build for fuzzing, whose files are short, has shorter ones. */
#ifndef RENEW_MAX
#define RENEW_MAX (256 << 20) /* so much is held in memory to be encoded again as a whole */
#endif
#ifndef SPLICE_MIN
#define SPLICE_MIN (4 << 20) /* encoding longer ones again as a whole would take longer than finding what has to be */
#endif

enum { EDIT_LEN = 4096 }; /* of the edit that blockz_map_edit_cost() tells of */

/* What the estimate rests on, beside the formats' own figures; measured. */
enum {
	COPY_NS_1024 = 1280,        /* nanoseconds for 1024 bytes of a copy that is made durable */
	IN_PLACE_NS = 1000000000,   /* so long may an edit in place take, however short a copy would */
	IN_PLACE_COPIES = 2,        /* and so many times what a copy takes */
	IN_PLACE_SHARE = 4,         /* at most one part in so many of the file is written to twice, by way of the journal */
	SPLICE_LEN = 256 << 10,     /* about so many bytes of a long piece are replaced */
};

bool estimate_is_short(uint64_t image_len, uint64_t file_len)
{
	return image_len <= RENEW_MAX && file_len <= RENEW_MAX;
}

enum blockz_edit_how estimate_how(const struct format *format, enum blockz_kind kind, uint64_t image_len, uint64_t file_len)
{
	bool fits_memory = estimate_is_short(image_len, file_len);
	if (format->renew_index == NULL)
		return BLOCKZ_EDIT_NONE;
	if (format->splice != NULL && kind != BLOCKZ_ZERO && (image_len > SPLICE_MIN || !fits_memory))
		return BLOCKZ_EDIT_PART;
	return fits_memory ? BLOCKZ_EDIT_PIECE : BLOCKZ_EDIT_NONE;
}

/* So long that longer does not matter, and that a few of them can be added. */
#define NS_MAX (UINT64_MAX / 8)

static uint64_t capped_ns(uint64_t bytes, uint64_t ns)
{
	uint64_t product = NS_MAX;
	return checked_mul(bytes, ns, &product) ? min(product, NS_MAX) : NS_MAX;
}

static uint64_t copy_ns(uint64_t bytes)
{
	return capped_ns(bytes, COPY_NS_1024) / 1024;
}

void estimate_add(struct estimate *estimate, const struct format *format, bool is_long, uint64_t image_len, uint64_t file_len)
{
	uint64_t ns = capped_ns(image_len, is_long ? format->splice_ns : format->renew_ns);
	uint64_t *sum = is_long ? &estimate->splicing_ns : &estimate->encoding_ns;
	*sum = min(*sum + ns, NS_MAX);
	if (!is_long && ns > estimate->longest_ns)
		estimate->longest_ns = ns;
	if (is_long)
		estimate->fitting_ns = min(estimate->fitting_ns + format->fit_ns, NS_MAX);
	estimate->file_bytes += is_long ? min(file_len, SPLICE_LEN) : file_len;
}

void estimate_ways(struct estimate *estimate, const struct blockz_map *map, unsigned threads)
{
	uint64_t encoding = estimate->encoding_ns / threads, copy = copy_ns(map->file_size);
	encoding = estimate->splicing_ns + (encoding > estimate->longest_ns ? encoding : estimate->longest_ns);
	estimate->in_place_ns = encoding + estimate->fitting_ns + copy_ns(estimate->file_bytes);
	estimate->splice_ns = encoding + copy;
	estimate->in_place = (estimate->in_place_ns <= IN_PLACE_NS || estimate->in_place_ns <= IN_PLACE_COPIES * copy) &&
			     estimate->file_bytes <= map->file_size / IN_PLACE_SHARE;
}

/* ---- An edit of a range ---- */

/* Of one piece: of a copy of a zero piece, or one of a group, which are taken for equally long. */
static struct blockz_edit_cost piece_cost(const struct blockz_map *map, size_t index)
{
	const struct piece *piece = &map->pieces[index];
	const uint64_t pieces = map_pieces_of(map, index);
	uint64_t image_len = piece_image_len(map, index) / pieces, file_len = piece->file_len / pieces;
	enum blockz_edit_how how = estimate_how(map->format, piece->kind, image_len, file_len);
	struct estimate estimate = { 0 };
	if (how == BLOCKZ_EDIT_NONE)
		return (struct blockz_edit_cost){ .how = how, .ns = BLOCKZ_UNKNOWN };
	estimate_add(&estimate, map->format, how == BLOCKZ_EDIT_PART, image_len, file_len);
	estimate_ways(&estimate, map, 1);
	return (struct blockz_edit_cost){
		.how = how,
		.new_file = !estimate.in_place,
		.piece_image_bytes = image_len, .piece_file_bytes = file_len,
		.ns = estimate.in_place ? estimate.in_place_ns : estimate.splice_ns,
	};
}

EXPORT struct blockz_edit_cost blockz_map_edit_cost(const struct blockz_map *map, struct blockz_range range)
{
	struct blockz_edit_cost most = { .how = BLOCKZ_EDIT_RAW, .ns = copy_ns(EDIT_LEN) };
	if (may_patch_map(map, NULL) != BLOCKZ_OK)
		return (struct blockz_edit_cost){ .how = BLOCKZ_EDIT_NONE, .ns = BLOCKZ_UNKNOWN };
	for (uint64_t pos = range.start, end; pos < range.end; pos = end) {
		size_t index = map_find_piece(map, pos);
		end = min(map_piece_end(map, index), range.end);
		if (map->pieces[index].kind == BLOCKZ_RAW || map_is_patchable(map, pos, end))
			continue;
		const struct blockz_edit_cost cost = piece_cost(map, index);
		if (most.how == BLOCKZ_EDIT_RAW || cost.ns > most.ns)
			most = cost;
	}
	return most;
}
