/* SPDX-License-Identifier: BSD-3-Clause */
/* The index is read, and written again with the same pieces, in the same room. */
#include "grouped.h"

#include <string.h>

#include "foreign.h"
#include "format/gzip/index_read.h"
#include "format/gzip/index_write.h"
#include "images.h"

static void add_all(struct index_builder *builder, const struct blockz_map *map)
{
	for (size_t i = 0; i < map->piece_count; i++) {
		const struct piece *piece = &map->pieces[i];
		const struct written_piece written = {
			.kind = (enum blockz_kind)piece->kind, .start = piece->start, .end = map_piece_end(map, i),
			.file_len = piece->file_len, .copies = piece->copies, .tag = piece->crc,
		};
		ck_assert_int_eq(index_add(builder, &written, NULL), BLOCKZ_OK);
	}
}

struct bytes gzip_grouped(struct bytes file, uint64_t group)
{
	struct blockz_map *map = map_of(bytes_source(file), false);
	struct bytes grouped = bytes_copy(file);
	if (map->index == BLOCKZ_INDEX_HEADER) {
		struct bytes index = index_of(grouped);
		struct index_cuts cuts = index_cuts_of(index.data);
		struct index_facts facts = {
			.encoder = (enum deflate_encoder)index.data[INDEX_ENCODER_OFF], .level = index.data[INDEX_LEVEL_OFF],
			.image_size = map->image_size, .file_size = map->end_off,
		};
		uint64_t size;
		memcpy(facts.trailer, index.data + INDEX_TRAILER_OFF, GZIP_TRAILER_LEN);
		cuts.group = group;
		struct index_builder *builder = index_builder_new(cuts);
		add_all(builder, map);
		ck_assert_int_eq(index_write(builder, &facts, index.data, index.len, &size, NULL), BLOCKZ_OK);
		ck_assert_uint_eq(index.data[INDEX_VERSION_OFF], INDEX_VERSION_GROUPS);
		index_builder_free(builder);
	}
	blockz_map_free(map);
	return grouped;
}
