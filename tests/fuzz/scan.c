/* SPDX-License-Identifier: BSD-3-Clause */
/* Any bytes as a file: its map keeps its own rules, and reading by it fails or gives what the judge gives. */
#include "reseal.h"

enum { IMAGE_MAX = 20 << 20, READS_MAX = 32, READ_LEN = 16 };

static void check_pieces(const struct blockz_map *map)
{
	uint64_t file_pos = 0;
	assert((map->piece_count == 0) == (map->image_size == 0));
	for (size_t i = 0; i < map->piece_count; i++) {
		const struct piece *piece = &map->pieces[i];
		uint64_t end = map_piece_end(map, i);
		assert(i > 0 || piece->start == 0);
		assert(piece->start < end && end <= map->image_size);
		assert(piece->copies > 0 && (piece->copies == 1 || piece->kind == BLOCKZ_ZERO));
		assert((end - piece->start) % piece->copies == 0 && piece->file_len % piece->copies == 0);
		assert(piece->file_off >= file_pos && piece->file_len > 0);
		assert(piece->file_len <= map->file_size && piece->file_off <= map->file_size - piece->file_len);
		file_pos = piece->file_off + piece->file_len;
	}
}

static void check_spans(const struct blockz_map *map)
{
	uint64_t pos = 0, file_pos = 0;
	for (size_t i = 0; i < map->span_count; i++) {
		const struct span *span = &map->spans[i];
		assert(span->start >= pos && span->start < span->end && span->end <= map->image_size);
		for (pos = span->start; pos < span->end;) {
			struct blockz_extent extent;
			assert(blockz_map_extent_at(map, pos, &extent) && extent.start == pos && extent.length > 0);
			assert(extent.file_off >= file_pos && extent.length <= span->end - pos);
			/* Its first byte lies in the piece that has it. */
			const struct piece *piece = &map->pieces[map_find_piece(map, pos)];
			assert(extent.file_off >= piece->file_off);
			assert(extent.file_off < piece->file_off + piece->file_len);
			pos += extent.length;
			file_pos = extent.file_off + extent.length;
		}
		assert(file_pos <= map->file_size && span_file_end(span) == file_pos);
	}
}

static void check_checks(const struct blockz_map *map)
{
	for (size_t i = 0; i < map->check_count; i++) {
		const struct check *check = &map->checks[i];
		assert(map->file_size >= 4 && check->field_off <= map->file_size - 4 && check->start <= check->end);
		assert(check->end <= (check->of_file ? check->field_off : map->image_size));
	}
}

static void read_ends(struct blockz_reader *reader, uint64_t start, uint64_t end, const struct bytes *image)
{
	uint8_t bytes[READ_LEN];
	size_t len = end - start < sizeof(bytes) ? (size_t)(end - start) : sizeof(bytes);
	uint64_t offsets[] = { start, end - len };
	for (int i = 0; i < 2; i++) {
		struct blockz_fault fault = { 0 };
		enum blockz_status status = blockz_reader_read(reader, bytes, len, offsets[i], &fault);
		check_fault(status, &fault);
		assert(image == NULL || (status == BLOCKZ_OK && memcmp(bytes, image->data + offsets[i], len) == 0));
	}
}

/* The ranges follow one another to the end of the image, each as long as it can be. */
static void walk_ranges(const struct blockz_map *map, struct blockz_reader *reader, const struct bytes *image)
{
	struct blockz_map_range range = { 0 }, before = { 0 }, middle;
	struct blockz_extent extent;
	size_t reads = 0;
	for (uint64_t pos = 0; blockz_map_range_at(map, pos, &range); before = range, pos = range.end) {
		assert(range.start == pos && range.end > pos && range.end <= map->image_size);
		assert(range.file_off < range.file_end && range.file_end <= map->file_size);
		assert(pos == 0 || range.kind != before.kind || range.patchable != before.patchable);
		assert(range.kind == BLOCKZ_RAW || !range.patchable);
		assert(blockz_map_extent_at(map, range.end - 1, &extent) == (range.kind == BLOCKZ_RAW));
		assert(blockz_map_range_at(map, pos + (range.end - pos) / 2, &middle));
		assert(middle.start == range.start && middle.end == range.end);
		if (reads++ < READS_MAX)
			read_ends(reader, range.start, range.end, image);
	}
	assert(range.end == map->image_size);
}

/* image: what the judge makes of the file; NULL: nothing, or the map went by an index, which may lie. */
static void check_map(const struct blockz_source *file, const struct blockz_map *map, const struct bytes *image)
{
	struct blockz_reader *reader = NULL;
	check_pieces(map);
	check_spans(map);
	check_checks(map);
	assert(image == NULL || map->image_size == image->len);
	if (map->image_size > IMAGE_MAX)
		return;
	assert(blockz_reader_new(file, map, &reader, NULL) == BLOCKZ_OK);
	walk_ranges(map, reader, image);
	blockz_reader_free(reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct blockz_memory memory = { data, size };
	struct blockz_source file = blockz_source_memory(&memory);
	struct bytes image = { 0 };
	struct blockz_map *map = NULL;
	enum verdict verdict = judge_file(data, size, IMAGE_MAX, &image);
	enum blockz_status status = read_map(&file, true, &map);
	if (status == BLOCKZ_OK)
		check_map(&file, map, verdict == ACCEPTED ? &image : NULL);
	assert(verdict != ACCEPTED || status == BLOCKZ_OK || format_of(data, size) != GZIP);
	blockz_map_free(map);

	map = NULL;
	if (read_map(&file, false, &map) == BLOCKZ_OK)
		check_map(&file, map, NULL);
	blockz_map_free(map);
	free(image.data);
	return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed)
{
	return mutate_file(data, size, max_size, seed, 0);
}
