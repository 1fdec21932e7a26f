/* SPDX-License-Identifier: BSD-3-Clause */
/* An image is read segment by segment. */
#include "disk/image.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/fault.h"
#include "io/access.h"

/* True for a piece that is not kept as a whole, if it is a compressed one. */
static bool is_long(const struct disk_image *image, size_t index)
{
	return piece_is_long(image->map, index) || piece_image_len(image->map, index) > image->piece_max;
}

/* True for a group whose pieces are kept, if they can be told from each other. */
static bool is_apart(const struct disk_image *image, size_t index)
{
	return map_is_group(image->map, index) && image->map->group_cut <= image->piece_max;
}

struct segment disk_image_segment(const struct disk_image *image, uint64_t pos, uint64_t end)
{
	const struct blockz_map *map = image->map;
	size_t span_index = map_find_span(map, pos);
	const struct span *span = span_index < map->span_count ? &map->spans[span_index] : NULL;
	struct segment segment = { .piece = map_find_piece(map, pos) };
	if (span != NULL && span->start <= pos) {
		segment.kind = BLOCKZ_RAW;
		segment.span = span;
		segment.end = min(end, span->end);
		return segment;
	}
	segment.kind = map->pieces[segment.piece].kind == BLOCKZ_ZERO ? BLOCKZ_ZERO : BLOCKZ_COMPRESSED;
	segment.is_long = segment.kind == BLOCKZ_COMPRESSED && is_long(image, segment.piece) && !is_apart(image, segment.piece);
	segment.end = min(end, map_piece_end(map, segment.piece));
	if (span != NULL)
		segment.end = min(segment.end, span->start);
	return segment;
}

/* Payload is read from the file itself, where it may have been written to. */
static enum blockz_status read_raw(const struct disk_image *image, const struct span *span, uint8_t *out,
				   uint64_t start, uint64_t end, struct blockz_fault *fault)
{
	enum blockz_status status = BLOCKZ_OK;
	while (start < end && status == BLOCKZ_OK) {
		struct blockz_extent extent = span_extent(span, start);
		size_t len = (size_t)min(extent.length, end - start);
		status = read_file(image->file, out, len, extent.file_off, fault);
		out += len;
		start += len;
	}
	return status;
}

static enum blockz_status prove_zeros(const struct disk_image *image, size_t index, uint64_t start, uint64_t end,
				      struct blockz_fault *fault)
{
	const struct piece *piece = &image->map->pieces[index];
	uint64_t copy_len = piece_image_len(image->map, index) / piece->copies;
	uint64_t first = (start - piece->start) / copy_len, last = (end - 1 - piece->start) / copy_len;
	return piece_cache_prove(image->cache, index, first, last - first + 1, fault);
}

static enum blockz_status read_long(const struct disk_image *image, const struct segment *segment, uint8_t *out,
				    uint64_t start, struct blockz_fault *fault)
{
	return image->spool != NULL ? spool_read(image->spool, segment->piece, start, segment->end, out, fault) :
				      long_reader_read(image->longs, segment->piece, start, segment->end, out, fault);
}

/* Reads of [start, end), which lies in an item of the map, what is in the piece there; *end_ret: the image offset behind that. */
static enum blockz_status read_piece(const struct disk_image *image, const struct segment *segment, uint8_t *out, uint64_t start,
				     uint64_t *end_ret, struct blockz_fault *fault)
{
	struct group_piece piece;
	struct cached *cached = NULL;
	*end_ret = segment->end;
	if (segment->is_long)
		return read_long(image, segment, out, start, fault);
	enum blockz_status status = groups_piece(image->groups, start, &piece, fault);
	if (status != BLOCKZ_OK)
		return status;
	if (!piece.is_apart && is_long(image, segment->piece))
		return read_long(image, segment, out, start, fault);
	*end_ret = min(segment->end, piece.end);
	status = piece_cache_get(image->cache, &piece, (size_t)(*end_ret - piece.piece.start), &cached, fault);
	if (status != BLOCKZ_OK)
		return status;
	memcpy(out, cached->bytes + (start - piece.piece.start), (size_t)(*end_ret - start));
	piece_cache_put(image->cache, cached);
	return BLOCKZ_OK;
}

static enum blockz_status read_pieces(const struct disk_image *image, const struct segment *segment, uint8_t *out,
				      uint64_t start, struct blockz_fault *fault)
{
	enum blockz_status status = BLOCKZ_OK;
	for (uint64_t end; start < segment->end && status == BLOCKZ_OK; start = end) {
		status = read_piece(image, segment, out, start, &end, fault);
		out += end - start;
	}
	return status;
}

void disk_image_prefetch(const struct disk_image *image, uint64_t off)
{
	struct group_piece piece;
	struct segment segment = disk_image_segment(image, off, off + 1);
	if (segment.kind == BLOCKZ_COMPRESSED && !segment.is_long && groups_piece(image->groups, off, &piece, NULL) == BLOCKZ_OK &&
	    (piece.is_apart || !is_long(image, segment.piece)))
		piece_cache_prefetch(image->cache, &piece);
}

static enum blockz_status read_segment(const struct disk_image *image, const struct segment *segment, uint8_t *out,
				       uint64_t start, struct blockz_fault *fault)
{
	enum blockz_status status;
	switch (segment->kind) {
	case BLOCKZ_RAW:
		return read_raw(image, segment->span, out, start, segment->end, fault);
	case BLOCKZ_ZERO:
		status = prove_zeros(image, segment->piece, start, segment->end, fault);
		if (status == BLOCKZ_OK)
			memset(out, 0, (size_t)(segment->end - start));
		return status;
	default:
		return read_pieces(image, segment, out, start, fault);
	}
}

enum blockz_status disk_image_read(const struct disk_image *image, uint8_t *out, size_t len, uint64_t off,
				   struct blockz_fault *fault)
{
	enum blockz_status status = BLOCKZ_OK;
	uint64_t end = off + len;
	for (struct segment segment; off < end && status == BLOCKZ_OK; off = segment.end) {
		segment = disk_image_segment(image, off, end);
		status = read_segment(image, &segment, out, off, fault);
		out += segment.end - off;
	}
	return status;
}

enum blockz_status disk_image_extent(const struct disk_image *image, uint64_t off, uint64_t end, bool *zeros_ret,
				     uint64_t *end_ret, struct blockz_fault *fault)
{
	enum blockz_status status = BLOCKZ_OK;
	uint64_t pos = off;
	bool zeros = false;
	while (pos < end && status == BLOCKZ_OK) {
		struct segment segment = disk_image_segment(image, pos, end);
		bool zero = segment.kind == BLOCKZ_ZERO;
		if (segment.is_long && image->spool != NULL)
			status = spool_extent(image->spool, segment.piece, pos, segment.end, &zero, &segment.end, fault);
		if (pos > off && zero != zeros)
			break;
		if (segment.kind == BLOCKZ_ZERO)
			status = prove_zeros(image, segment.piece, pos, segment.end, fault);
		zeros = zero;
		pos = segment.end;
	}
	if (status != BLOCKZ_OK)
		return status;
	*zeros_ret = zeros;
	*end_ret = pos;
	return status;
}

/* ---- The whole ---- */

/* Zeros are proved, and not kept; but a piece of them has to be read as a whole. */
static bool is_too_long(const struct disk_image *image, size_t index, bool has_place)
{
	const struct piece *piece = &image->map->pieces[index];
	if (piece->kind == BLOCKZ_ZERO)
		return piece->file_len / piece->copies > PIECE_FILE_MAX;
	return piece->kind == BLOCKZ_COMPRESSED && is_long(image, index) && !has_place;
}

static enum blockz_status check_pieces(const struct disk_image *image, bool has_place, struct blockz_fault *fault)
{
	const struct blockz_map *map = image->map;
	for (size_t i = 0; i < map->piece_count; i++) {
		const struct piece *piece = &map->pieces[i];
		if (!is_too_long(image, i, has_place))
			continue;
		return fault_set(fault, BLOCKZ_LIMIT, piece->file_off,
				 "the piece at image offset %" PRIu64 " has %" PRIu64 " bytes, and at most %" PRIu64
				 " can be decoded at once", piece->start, piece_image_len(map, i) / piece->copies,
				 min(image->piece_max, PIECE_MEMORY_MAX));
	}
	return BLOCKZ_OK;
}

/* Lists the long pieces, and returns how many they are; indexes: NULL, or room for them. */
static size_t list_long(const struct disk_image *image, size_t *indexes)
{
	size_t count = 0;
	for (size_t i = 0; i < image->map->piece_count; i++) {
		if (image->map->pieces[i].kind != BLOCKZ_COMPRESSED || !is_long(image, i))
			continue;
		if (indexes != NULL)
			indexes[count] = i;
		count++;
	}
	return count;
}

static uint64_t image_bytes(const struct spool_task *task)
{
	uint64_t bytes = 0;
	for (size_t i = 0; i < task->count; i++)
		bytes += piece_image_len(task->map, task->pieces[i]);
	return bytes;
}

/* Copies the long pieces, which from then on are read from the copy. */
static enum blockz_status copy_long(struct disk_image *image, const size_t *pieces, size_t count,
				    const struct blockz_disk_options *options, struct blockz_fault *fault)
{
	struct spool_task task = {
		.map = image->map, .pieces = pieces, .count = count, .reader = image->longs, .cache = image->piece_max,
	};
	enum blockz_status status = options->spool(options->spool_ctx, image_bytes(&task), &task.store, fault);
	if (status == BLOCKZ_OK)
		status = spool_new(&task, &image->spool, fault);
	long_reader_free(image->longs);
	image->longs = NULL;
	return status;
}

/* Both caches, that of parts of long pieces and that of others, get half of what is kept. */
static enum blockz_status open_long(struct disk_image *image, const struct blockz_disk_options *options,
				    struct blockz_fault *fault)
{
	image->piece_max = image->cache_limit / 2;
	image->longs = long_reader_new(image->file, image->map, image->piece_max);
	size_t count = list_long(image, NULL);
	size_t *pieces = malloc(count * sizeof(*pieces));
	enum blockz_status status = BLOCKZ_OK;
	if (image->longs == NULL || pieces == NULL)
		status = fault_nomem(fault);
	else if (image->map->format->cursor_mark == NULL)
		status = copy_long(image, pieces, list_long(image, pieces), options, fault);
	free(pieces);
	return status;
}

enum blockz_status disk_image_init(struct disk_image *image, const struct blockz_source *file, struct blockz_map *map,
				   uint64_t cache_limit, const struct blockz_disk_options *spool, struct blockz_fault *fault)
{
	*image = (struct disk_image){ .file = file, .map = map, .cache_limit = cache_limit, .piece_max = cache_limit };
	bool has_place = map->format->cursor_mark != NULL || (spool != NULL && spool->spool != NULL);
	enum blockz_status status = check_pieces(image, has_place, fault);
	if (status == BLOCKZ_OK && list_long(image, NULL) > 0)
		status = open_long(image, spool, fault);
	if (status != BLOCKZ_OK)
		return status;
	image->groups = groups_new(file, map);
	image->cache = piece_cache_new(file, map, image->piece_max);
	return image->groups != NULL && image->cache != NULL ? BLOCKZ_OK : fault_nomem(fault);
}

void disk_image_free(struct disk_image *image)
{
	groups_free(image->groups);
	piece_cache_free(image->cache);
	long_reader_free(image->longs);
	spool_free(image->spool);
	blockz_map_free(image->map);
	*image = (struct disk_image){ 0 };
}
