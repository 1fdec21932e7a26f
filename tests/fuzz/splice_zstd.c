/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Any bytes as a .zst file, and an edit inside one of its frames: what comes out holds the edited image, by libzstd.  The
 * first bytes of the input choose the edit.
 */
#include "base/bytes.h"
#include "format/format.h"
#include "format/formats.h"
#include "reseal.h"

enum { PREFIX_LEN = 7, IMAGE_MAX = 1 << 20 };

struct splicing {
	const struct bytes *file;
	struct bytes out;
	uint64_t pos; /* of the file, up to where out was made */
	uint8_t pattern;
};

static enum blockz_status lay_over(void *ctx, uint8_t *bytes, size_t len, uint64_t off, struct blockz_fault *fault)
{
	const struct splicing *splicing = ctx;
	(void)fault;
	for (size_t i = 0; i < len; i++)
		bytes[i] ^= (uint8_t)(splicing->pattern * ((off + i) / 64 + splicing->pattern % 4));
	return BLOCKZ_OK;
}

static enum blockz_status replace(void *ctx, struct blockz_range old, const uint8_t *bytes, size_t len,
				  struct blockz_fault *fault)
{
	struct splicing *splicing = ctx;
	(void)fault;
	assert(old.start >= splicing->pos && old.start < old.end && old.end <= splicing->file->len);
	bytes_append(&splicing->out, splicing->file->data + splicing->pos, (size_t)(old.start - splicing->pos));
	bytes_append(&splicing->out, bytes, len);
	splicing->pos = old.end;
	return BLOCKZ_OK;
}

static enum blockz_status changed(void *ctx, uint64_t off, const uint8_t *old, const uint8_t *new, size_t len,
				  struct blockz_fault *fault)
{
	(void)ctx, (void)off, (void)fault;
	assert(len > 0 && old[0] != new[0] && old[len - 1] != new[len - 1]);
	return BLOCKZ_OK;
}

static void splice(const struct blockz_source *source, const struct blockz_map *map, const uint8_t *choice,
		   struct splicing *splicing, struct bytes *image, bool good)
{
	uint64_t start = load_le32(choice) % map->image_size;
	size_t piece = map_find_piece(map, start);
	uint64_t longest = map_piece_end(map, piece) - start, len = 1 + load_le16(choice + 4);
	struct blockz_range range = { start, start + (len < longest ? len : longest) };
	struct blockz_fault fault = { 0 };
	struct piece_edit edit = {
		.file = source, .map = map, .piece = piece, .ranges = &range, .count = 1, .keep_length = choice[6] & 1,
		.lay_over = lay_over, .replace = replace, .changed = changed, .ctx = splicing,
	};
	bool done = false;
	if (map->pieces[piece].copies > 1)
		return;
	splicing->pattern = choice[6] >> 1;
	enum blockz_status status = format_zstd.splice(&edit, &done, &fault);
	check_fault(status, &fault);
	assert(!good || status == BLOCKZ_OK || status == BLOCKZ_LIMIT);
	if (!good || !done)
		return;
	const struct bytes *file = splicing->file;
	bytes_append(&splicing->out, file->data + splicing->pos, file->len - (size_t)splicing->pos);
	assert(!edit.keep_length || splicing->out.len == file->len);
	lay_over(splicing, image->data + range.start, (size_t)(range.end - range.start), range.start, NULL);
	struct bytes found = { 0 };
	assert(judge_zstd(splicing->out.data, splicing->out.len, IMAGE_MAX, &found) == ACCEPTED && bytes_equal(&found, image));
	free(found.data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < PREFIX_LEN || format_of(data + PREFIX_LEN, size - PREFIX_LEN) != ZSTD)
		return 0;
	struct bytes file = { 0 }, image = { 0 };
	bytes_append(&file, data + PREFIX_LEN, size - PREFIX_LEN);
	struct blockz_memory memory = bytes_memory(&file);
	struct blockz_source source = blockz_source_memory(&memory);
	struct splicing splicing = { .file = &file };
	struct blockz_map *map = NULL;
	enum verdict verdict = judge_zstd(file.data, file.len, IMAGE_MAX, &image);
	if (verdict != TOO_LARGE && read_map(&source, true, &map) == BLOCKZ_OK && map->image_size > 0)
		splice(&source, map, data, &splicing, &image, verdict == ACCEPTED && map->image_size == image.len);
	blockz_map_free(map);
	free(splicing.out.data);
	free(image.data);
	free(file.data);
	return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed)
{
	return mutate_file(data, size, max_size, seed, PREFIX_LEN);
}
