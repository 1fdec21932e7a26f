/* SPDX-License-Identifier: BSD-3-Clause */
/* A splice of one Block after the other, and a reader of the chunks of LZMA2. */
#include "xz_splices.h"

#include <stdlib.h>
#include <string.h>

#include "format/formats.h"
#include "piece_ranges.h"

struct xz_splicing *xz_splicing_new(struct bytes file, struct bytes image, struct bytes edited)
{
	struct xz_splicing *self = keep(sizeof(*self));
	*self = (struct xz_splicing){ .record = splice_record(file, image, edited), .done = true };
	return self;
}

enum blockz_status xz_splice_piece(struct xz_splicing *self, const struct blockz_map *map, size_t index,
				   const struct blockz_range *ranges, size_t count, struct blockz_fault *fault)
{
	struct splice_record *record = &self->record;
	struct blockz_source source = bytes_source(record->file);
	struct blockz_range within[SPLICE_EDITS_MAX];
	uint64_t tag = 0;
	struct piece_edit edit = {
		.file = &source, .map = map, .piece = index, .ranges = within, .keep_length = record->keep_length, .tag_ret = &tag,
		.count = ranges_in(map, index, ranges, count, within), .lay_over = record_lay_over, .replace = record_replace,
		.changed = record_changed, .ctx = record,
	};
	if (edit.count == 0)
		return BLOCKZ_OK;
	ck_assert_uint_eq(map->pieces[index].copies, 1);
	ck_assert_uint_lt(self->piece_count, XZ_PIECES_MAX);
	const uint64_t before = record->growth;
	enum blockz_status status = format_xz.splice(&edit, &self->done, fault);
	self->pieces[self->piece_count++] = (struct renewed_piece){
		.piece = index, .file_len = map->pieces[index].file_len + (record->growth - before), .tag = tag,
	};
	return status;
}

/* Puts the new file together, with Indexes for it. */
static void finish(struct xz_splicing *self, const struct blockz_map *map)
{
	struct blockz_source source = bytes_source(self->record.file);
	const struct renewal renewal = {
		.file = &source, .map = map, .pieces = self->pieces, .count = self->piece_count, .replace = record_replace,
		.ctx = &self->record,
	};
	ck_assert_int_eq(format_xz.renew_index(&renewal, NULL), BLOCKZ_OK);
	record_sort(&self->record, false);
	self->out = record_result(&self->record);
}

static void assert_decodes_any(struct bytes file, struct bytes image)
{
	const struct kept *mark = kept_so_far();
	struct bytes room = bytes_new(image.len + 1);
	size_t len = 0;
	ck_assert(judge_any("xz", file, room, &len));
	assert_bytes((struct bytes){ room.data, len }, image);
	forget_since(mark);
}

struct xz_splicing *xz_splice_ranges(struct bytes file, struct bytes image, struct bytes edited,
				     const struct blockz_range *ranges, size_t count)
{
	struct blockz_map *map = map_of(bytes_source(file), false);
	struct xz_splicing *self = xz_splicing_new(file, image, edited);
	struct blockz_fault fault = { .text = "" };
	for (size_t i = 0; i < map->piece_count; i++) {
		enum blockz_status status = xz_splice_piece(self, map, i, ranges, count, &fault);
		ck_assert_msg(status == BLOCKZ_OK, "splice: %s", fault.text);
		ck_assert(self->done);
	}
	assert_bytes(self->record.told, edited);
	finish(self, map);
	blockz_map_free(map);
	assert_decodes_any(self->out, edited);
	return self;
}

struct xz_splicing *xz_splice_range(struct bytes file, struct bytes image, struct bytes edited, struct blockz_range range)
{
	return xz_splice_ranges(file, image, edited, &range, 1);
}

int64_t xz_growth(const struct xz_splicing *self)
{
	return (int64_t)self->out.len - (int64_t)self->record.file.len;
}

size_t xz_find_chunks(struct bytes file, struct chunk_place places[XZ_CHUNKS_MAX])
{
	size_t count = 0, start = 0;
	struct xz_chunk chunk;
	for (size_t off = XZ_FIRST_BLOCK + 4 * (file.data[XZ_FIRST_BLOCK] + 1);; off += chunk.header_len + chunk.payload_len) {
		xz_chunk_parse(file.data + off, &chunk);
		ck_assert_uint_lt(count, XZ_CHUNKS_MAX);
		places[count++] = (struct chunk_place){ chunk, off, start };
		if (chunk.control == 0)
			return count;
		start += chunk.image_len;
	}
}
