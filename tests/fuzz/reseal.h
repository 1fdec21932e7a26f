/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A mutator for gzip files that makes checks right again, now and then: no input gets past a CRC-32 by chance, and what
 * stands behind it is what has to be tested.
 */
#ifndef FUZZ_RESEAL_H
#define FUZZ_RESEAL_H

#include "base/bytes.h"
#include "format/gzip/head.h"
#include "format/gzip/layout.h"
#include "range/map.h"
#include "fuzz.h"

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed);

enum { RESEAL_IMAGE_MAX = 4 << 20 };

/* The first member's deflate stream gets a trailer that fits, where there is room for one. */
static inline void reseal_trailer(uint8_t *file, size_t len, size_t body_off, struct bytes *image)
{
	z_stream z = { .next_in = file + body_off, .avail_in = (uInt)(len - body_off) };
	int error = Z_OK;
	assert(inflateInit2(&z, -15) == Z_OK);
	while (error == Z_OK && image->len < RESEAL_IMAGE_MAX) {
		size_t have = image->len;
		bytes_resize(image, have + 65536);
		z.next_out = image->data + have;
		z.avail_out = 65536;
		error = inflate(&z, Z_NO_FLUSH);
		image->len -= z.avail_out;
	}
	if (error == Z_STREAM_END && z.avail_in >= GZIP_TRAILER_LEN) {
		store_le32(z.next_in, bytes_crc(image, 0, image->len));
		store_le32(z.next_in + 4, (uint32_t)image->len);
	}
	inflateEnd(&z);
}

static inline void reseal_index_crc(uint8_t *index, size_t len)
{
	store_le32(index + len - INDEX_CRC_LEN, (uint32_t)crc32_z(0, index, len - INDEX_CRC_LEN));
}

/* The index gets the sizes and the trailer's copy that fit, and its CRC. */
static inline void reseal_index(uint8_t *file, size_t len, const struct gzip_head *head)
{
	uint8_t *index = file + head->index_off;
	const uint8_t *trailer = file + len - GZIP_TRAILER_LEN;
	store_le32(index + INDEX_IMAGE_SIZE_OFF, load_le32(trailer + 4));
	store_le64(index + INDEX_FILE_SIZE_OFF, len);
	memcpy(index + INDEX_TRAILER_OFF, trailer, GZIP_TRAILER_LEN);
	reseal_index_crc(index, head->index_len);
}

/* The index's CRCs of pieces get those of the image, by the map itself. */
static inline void reseal_pieces(uint8_t *file, size_t len, const struct gzip_head *head, const struct bytes *image)
{
	struct blockz_memory memory = { file, len };
	struct blockz_source source = blockz_source_memory(&memory);
	struct blockz_map *map = NULL;
	if (blockz_map_read(&source, NULL, &map, NULL) != BLOCKZ_OK)
		return;
	for (size_t i = 0; i < map->check_count && map->index == BLOCKZ_INDEX_HEADER; i++) {
		const struct check *check = &map->checks[i];
		if (!check->of_file && check->end <= image->len)
			store_le32(file + check->field_off, bytes_crc(image, check->start, check->end));
	}
	reseal_index_crc(file + head->index_off, head->index_len);
	blockz_map_free(map);
}

static inline bool find_index(const uint8_t *file, size_t len, struct gzip_head *head_ret)
{
	struct blockz_memory memory = { file, len };
	struct blockz_source source = blockz_source_memory(&memory);
	return gzip_head_read(&source, 0, head_ret, NULL) == BLOCKZ_OK && head_ret->index_len >= INDEX_LEN_MIN &&
	       head_ret->body_off + GZIP_TRAILER_LEN <= len;
}

/* Mutates the gzip file behind the first `prefix` bytes, which are the target's own. */
static inline size_t mutate_gzip(uint8_t *data, size_t size, size_t max_size, unsigned int seed, size_t prefix)
{
	struct gzip_head head;
	uint8_t *file = data + prefix;
	bool only_index = seed % 4 == 0, all_checks = seed / 4 % 2 == 0, index_checks = seed / 8 % 2 == 0;
	if (only_index && size > prefix && find_index(file, size - prefix, &head)) {
		uint8_t *from = file + head.index_off + INDEX_PIECE_LOG_OFF;
		size_t room = head.index_len - INDEX_PIECE_LOG_OFF - INDEX_CRC_LEN;
		size_t used = LLVMFuzzerMutate(from, room, room);
		memset(from + used, 0, room - used);
	} else {
		size = LLVMFuzzerMutate(data, size, max_size);
	}
	if (size <= prefix || (!all_checks && !index_checks))
		return size;
	struct bytes image = { 0 };
	struct blockz_memory memory = { file, size - prefix };
	struct blockz_source source = blockz_source_memory(&memory);
	if (all_checks && gzip_head_read(&source, 0, &head, NULL) == BLOCKZ_OK)
		reseal_trailer(file, size - prefix, (size_t)head.body_off, &image);
	if (find_index(file, size - prefix, &head)) {
		reseal_index(file, size - prefix, &head);
		if (all_checks)
			reseal_pieces(file, size - prefix, &head, &image);
	}
	free(image.data);
	return size;
}

#endif
