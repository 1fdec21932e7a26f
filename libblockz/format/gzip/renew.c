/* SPDX-License-Identifier: BSD-3-Clause */
/* The index is read, with its CRCs as they will be, and is made anew in the same room from what has changed. */
#include "format/gzip/renew.h"

#include <string.h>

#include "base/fault.h"
#include "format/deflate/layout.h"
#include "format/gzip/ending.h"
#include "format/gzip/head.h"
#include "format/gzip/index_read.h"
#include "format/gzip/index_write.h"
#include "format/gzip/renew_heads.h"
#include "format/gzip/scan.h"
#include "io/access.h"

/* The level that stands in the index; 0: none that there is. */
static enum blockz_status read_level(const struct blockz_source *file, const struct format *format, int *level_ret,
				     struct blockz_fault *fault)
{
	uint8_t level = 0;
	enum blockz_status status = gzip_index_byte(file, INDEX_LEVEL_OFF, &level, fault);
	if (status == BLOCKZ_OK)
		*level_ret = level <= format->public.level_max ? level : 0;
	return status;
}

static uint64_t copy_image_len(const struct blockz_map *map, size_t item)
{
	return (map_piece_end(map, item) - map->pieces[item].start) / map->pieces[item].copies;
}

enum blockz_status gzip_renew_params(const struct blockz_source *file, const struct blockz_map *map, size_t piece,
				     struct pack_params *params_ret, struct blockz_fault *fault)
{
	struct pack_params params = { .check = CHECK_CRC32, .piece_size = copy_image_len(map, piece) };
	enum blockz_status status = BLOCKZ_OK;
	if (map->index == BLOCKZ_INDEX_HEADER)
		status = read_level(file, map->format, &params.level, fault);
	if (status == BLOCKZ_OK)
		*params_ret = params;
	return status;
}

/* Whether an index that was right before would say something else of a piece now. */
static bool changes_entry(const struct blockz_map *map, const struct renewed_piece *renewed)
{
	const struct piece *piece = &map->pieces[renewed->piece];
	return piece->kind == BLOCKZ_ZERO || renewed->file_len != piece->file_len;
}

/* An index that is made anew: the pieces are those of map, which may have some of a group; `old` has their CRCs. */
struct making {
	struct index_builder *builder;
	const struct blockz_map *map, *old;
};

/* Adds copies [first, end) of an item, or one that is now what renewed tells, unless that is NULL. */
static enum blockz_status add_copies(const struct making *making, size_t item, uint64_t first, uint64_t end,
				     const struct renewed_piece *renewed, struct blockz_fault *fault)
{
	const struct blockz_map *map = making->map, *old = making->old;
	const struct piece *piece = &map->pieces[item];
	uint64_t image_len = copy_image_len(map, item), count = end - first;
	struct written_piece written = {
		.kind = (enum blockz_kind)piece->kind, .start = piece->start + first * image_len,
		.end = piece->start + end * image_len, .file_len = piece->file_len / piece->copies * count,
		.copies = count, .tag = old->pieces[map_find_piece(old, piece->start)].crc,
	};
	if (renewed != NULL)
		written.file_len = renewed->file_len;
	if (renewed != NULL && piece->kind == BLOCKZ_ZERO) {
		written.kind = BLOCKZ_COMPRESSED;
		written.tag = renewed->check;
	}
	return count > 0 ? index_add(making->builder, &written, fault) : BLOCKZ_OK;
}

/* Adds the first copies of an item, of which renewed ones are at *next; leaves the first behind them there. */
static enum blockz_status add_item(const struct making *making, size_t item, uint64_t copies, const struct renewed_piece **next,
				   const struct renewed_piece *end, struct blockz_fault *fault)
{
	uint64_t copy = 0;
	for (; *next < end && (*next)->piece == item; ++*next) {
		const struct renewed_piece *renewed = *next;
		enum blockz_status status = add_copies(making, item, copy, renewed->copy, NULL, fault);
		if (status == BLOCKZ_OK)
			status = add_copies(making, item, renewed->copy, renewed->copy + 1, renewed, fault);
		if (status != BLOCKZ_OK)
			return status;
		copy = renewed->copy + 1;
	}
	return add_copies(making, item, copy, copies, NULL, fault);
}

/* Adds the pieces that stay: of the item in which the image is cut only those copies before that. */
static enum blockz_status add_items(const struct making *making, const struct renewal *renewal, struct blockz_fault *fault)
{
	const struct blockz_map *map = making->map;
	const struct renewed_piece *next = renewal->pieces, *end = next + renewal->count;
	const uint64_t kept = renewal->end != NULL ? renewal->end->kept : map->image_size;
	enum blockz_status status = BLOCKZ_OK;
	for (size_t i = 0; i < map->piece_count && map->pieces[i].start < kept && status == BLOCKZ_OK; i++) {
		uint64_t copies = (kept - map->pieces[i].start) / copy_image_len(map, i);
		status = add_item(making, i, copies < map->pieces[i].copies ? copies : map->pieces[i].copies, &next, end, fault);
	}
	return status;
}

static enum blockz_status add_new(struct index_builder *builder, const struct new_end *end, struct blockz_fault *fault)
{
	enum blockz_status status = BLOCKZ_OK;
	for (size_t i = 0; end != NULL && i < end->count && status == BLOCKZ_OK; i++)
		status = index_add(builder, &end->pieces[i], fault);
	return status;
}

/* Makes the index in bytes, which map was read from, anew. */
static enum blockz_status make_index(const struct renewal *renewal, const struct gzip_end *new_end, const struct blockz_map *map,
				     uint8_t *bytes, size_t len, struct blockz_fault *fault)
{
	const uint64_t appended = map->file_size - map->end_off, end_len = new_end != NULL ? new_end->len : 0;
	struct index_facts facts = {
		.encoder = (enum deflate_encoder)bytes[INDEX_ENCODER_OFF], .level = bytes[INDEX_LEVEL_OFF],
		.data_crcs = bytes[INDEX_FLAGS_OFF] & INDEX_FLAG_DATA_CRCS,
		.image_size = renewal->end != NULL ? renewal->end->image_size : map->image_size,
		.file_size = renewal->file_size + end_len - appended,
	};
	memcpy(facts.trailer, new_end != NULL ? new_end->bytes + END_LEN : bytes + INDEX_TRAILER_OFF, GZIP_TRAILER_LEN);
	struct index_builder *builder = index_builder_new(index_cuts_of(bytes));
	if (builder == NULL)
		return fault_nomem(fault);
	uint64_t piece_size;
	const struct making making = { builder, renewal->map, map };
	enum blockz_status status = add_items(&making, renewal, fault);
	if (status == BLOCKZ_OK)
		status = add_new(builder, renewal->end, fault);
	if (status == BLOCKZ_OK)
		status = index_write(builder, &facts, bytes, len, &piece_size, fault);
	index_builder_free(builder);
	return status;
}

/* Replaces a good index: by a new one, or where the pieces were found by a scan, which may have cut others, by none. */
static enum blockz_status replace_index(const struct renewal *renewal, const struct gzip_end *new_end,
					const struct gzip_head *head, const struct blockz_map *map, struct blockz_fault *fault)
{
	uint8_t bytes[INDEX_LEN_MAX];
	struct blockz_range range = { head->index_off, head->index_off + head->index_len };
	enum blockz_status status = read_file(renewal->file, bytes, head->index_len, head->index_off, fault);
	if (status == BLOCKZ_OK && renewal->map->index == BLOCKZ_INDEX_HEADER)
		status = make_index(renewal, new_end, map, bytes, head->index_len, fault);
	else if (status == BLOCKZ_OK)
		index_write_none(bytes, head->index_len);
	return status == BLOCKZ_OK ? renewal->replace(renewal->ctx, range, bytes, head->index_len, fault) : status;
}

static enum blockz_status renew_own_index(const struct renewal *renewal, const struct gzip_end *new_end, struct blockz_fault *fault)
{
	struct gzip_head head;
	struct blockz_map *map = map_new(renewal->map->format, renewal->map->file_size);
	if (map == NULL)
		return fault_nomem(fault);
	enum blockz_status status = gzip_map_by_index(renewal->file, &head, map, fault);
	if (status == BLOCKZ_OK && map->index == BLOCKZ_INDEX_HEADER)
		status = replace_index(renewal, new_end, &head, map, fault);
	else if (status == BLOCKZ_OK && renewal->map->index == BLOCKZ_INDEX_HEADER)
		status = fault_set(fault, BLOCKZ_DAMAGED, head.index_off, "the index is no longer the one that was read");
	blockz_map_free(map);
	return status;
}

/* Has the stream end behind its new pieces, if it is to get another end. */
static enum blockz_status put_end(const struct renewal *renewal, const struct gzip_end *new_end, struct blockz_fault *fault)
{
	const struct file_cut *cut = renewal->end->cut;
	enum blockz_status status = BLOCKZ_OK;
	if (cut->open_off != 0)
		status = renewal->replace(renewal->ctx, (struct blockz_range){ cut->open_off, cut->open_off + 1 }, &cut->open_byte, 1, fault);
	if (status == BLOCKZ_OK && new_end->len > 0)
		status = renewal->replace(renewal->ctx, (struct blockz_range){ cut->end, cut->end }, new_end->bytes, new_end->len, fault);
	return status;
}

static enum blockz_status renew_end(const struct renewal *renewal, struct blockz_fault *fault)
{
	struct gzip_end new_end;
	enum blockz_status status = gzip_end_make(renewal, &new_end, fault);
	if (status == BLOCKZ_OK)
		status = renew_own_index(renewal, &new_end, fault);
	return status == BLOCKZ_OK ? put_end(renewal, &new_end, fault) : status;
}

enum blockz_status gzip_renew_index(const struct renewal *renewal, struct blockz_fault *fault)
{
	bool affected = renewal->count > 0 && renewal->map->index != BLOCKZ_INDEX_HEADER;
	for (size_t i = 0; i < renewal->count && !affected; i++)
		affected = changes_entry(renewal->map, &renewal->pieces[i]);
	enum blockz_status status = BLOCKZ_OK;
	if (renewal->end != NULL)
		status = renew_end(renewal, fault);
	else if (affected)
		status = renew_own_index(renewal, NULL, fault);
	return status == BLOCKZ_OK ? gzip_renew_heads(renewal, fault) : status;
}
