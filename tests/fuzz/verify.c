/* SPDX-License-Identifier: BSD-3-Clause */
/* What blockz_verify() accepts the judge accepts, with the same image; for gzip the other way round too. */
#include "reseal.h"

enum { IMAGE_MAX = 24 << 20 };

/* The image as blockz_extract() gives it is the one that the judge gave. */
static void check_image(const struct blockz_source *file, const struct bytes *image)
{
	struct bytes extracted = { 0 };
	struct blockz_sink sink = bytes_sink(&extracted);
	struct blockz_map *map = NULL;
	assert(read_map(file, false, &map) == BLOCKZ_OK);
	assert(blockz_extract(file, map, (struct blockz_range){ 0, image->len }, &sink, &one_thread, NULL) ==
	       BLOCKZ_OK);
	assert(bytes_equal(&extracted, image));
	blockz_map_free(map);
	free(extracted.data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct blockz_memory memory = { data, size };
	struct blockz_source file = blockz_source_memory(&memory);
	struct bytes image = { 0 };
	struct gzip_head head;
	uint64_t full_size = 0, quick_size = 0;
	enum blockz_status full = verify(&file, false, &full_size), quick = verify(&file, true, &quick_size);
	enum verdict verdict = judge_file(data, size, IMAGE_MAX, &image);
	if (full == BLOCKZ_OK) {
		assert(quick == BLOCKZ_OK && quick_size == full_size);
		assert(verdict != REJECTED);
		assert(verdict == TOO_LARGE || full_size == image.len);
		if (verdict == ACCEPTED)
			check_image(&file, &image);
	} else if (verdict == ACCEPTED && format_of(data, size) == GZIP) {
		/* Only an index can be wrong about a good file. */
		assert(gzip_head_read(&file, 0, &head, NULL) == BLOCKZ_OK && head.index_off != 0);
	} else if (verdict == ACCEPTED && format_of(data, size) == XZ) {
		assert(full == BLOCKZ_UNSUPPORTED || full == BLOCKZ_LIMIT);
	}
	free(image.data);
	return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed)
{
	return mutate_file(data, size, max_size, seed, 0);
}
