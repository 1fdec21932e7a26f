/* SPDX-License-Identifier: BSD-3-Clause */
/* Checks of the file that is spliced are made by zlib, of the edited image. */
#include "deflate_splices.h"

#include <libdeflate.h>
#include <string.h>
#include <zlib.h>

#include "format/deflate/splice.h"
#include "piece_ranges.h"

/* The file with the checks that the edited image needs. */
static struct bytes with_checks(struct bytes file, const struct blockz_map *map, struct bytes edited)
{
	struct bytes copy = bytes_copy(file);
	for (size_t i = 0; i < map->check_count; i++) {
		const struct check *check = &map->checks[i];
		uint32_t crc = (uint32_t)crc32_z(0, edited.data + check->start, check->end - check->start);
		for (size_t k = 0; k < 4; k++)
			copy.data[check->field_off + k] = (uint8_t)(crc >> 8 * k);
	}
	return copy;
}

struct deflate_splicing deflate_splicing(struct bytes file, struct bytes image, struct bytes edited,
					 const struct blockz_map *map)
{
	return (struct deflate_splicing){ .record = splice_record(with_checks(file, map, edited), image, edited), .done = true };
}

enum blockz_status deflate_splice_all(struct deflate_splicing *self, const struct blockz_map *map,
				      const struct blockz_range *ranges, size_t count, struct blockz_fault *fault)
{
	struct blockz_source source = bytes_source(self->record.file);
	struct blockz_range within[SPLICE_EDITS_MAX];
	enum blockz_status status = BLOCKZ_OK;
	for (size_t i = 0; i < map->piece_count && status == BLOCKZ_OK && self->done; i++) {
		struct piece_edit edit = {
			.file = &source, .map = map, .piece = i, .ranges = within, .keep_length = self->record.keep_length,
			.lay_over = record_lay_over, .replace = record_replace, .changed = record_changed, .ctx = &self->record,
		};
		edit.count = ranges_in(map, i, ranges, count, within);
		if (edit.count > 0)
			status = deflate_splice(&edit, &self->done, fault);
	}
	record_sort(&self->record, true);
	self->out = record_result(&self->record);
	return status;
}

static void assert_decodes_twice(struct bytes file, struct bytes image)
{
	const struct kept *mark = kept_so_far();
	struct bytes room = bytes_new(image.len + 1);
	size_t len, made = 0, used, part;
	ck_assert(judge_gzip_members(file, room, &len));
	assert_bytes((struct bytes){ room.data, len }, image);
	memset(room.data, 0, room.len);
	struct libdeflate_decompressor *decompressor = libdeflate_alloc_decompressor();
	for (size_t pos = 0; pos < file.len; pos += used, made += part)
		ck_assert_int_eq(libdeflate_gzip_decompress_ex(decompressor, file.data + pos, file.len - pos, room.data + made,
							       room.len - made, &used, &part), LIBDEFLATE_SUCCESS);
	libdeflate_free_decompressor(decompressor);
	assert_bytes((struct bytes){ room.data, made }, image);
	forget_since(mark);
}

struct deflate_splicing deflate_splice_ranges(struct bytes file, struct bytes image, struct bytes edited,
					      const struct blockz_range *ranges, size_t count, bool keep_length)
{
	struct blockz_map *map = map_of(bytes_source(file), true);
	struct deflate_splicing self = deflate_splicing(file, image, edited, map);
	struct blockz_fault fault = { .text = "" };
	self.record.keep_length = keep_length;
	enum blockz_status status = deflate_splice_all(&self, map, ranges, count, &fault);
	ck_assert_msg(status == BLOCKZ_OK, "splice: %s", fault.text);
	if (self.done) {
		assert_bytes(self.record.told, edited);
		assert_decodes_twice(self.out, edited);
		ck_assert(!keep_length || self.out.len == file.len);
	}
	blockz_map_free(map);
	return self;
}

int64_t deflate_growth(const struct deflate_splicing *self)
{
	return (int64_t)self->out.len - (int64_t)self->record.file.len;
}
