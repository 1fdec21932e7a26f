/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A mutator for compressed files that makes checks right again, now and then: no input gets past a CRC-32 by chance,
 * and what stands behind it is what has to be tested.
 */
#ifndef FUZZ_RESEAL_H
#define FUZZ_RESEAL_H

#define ZSTD_STATIC_LINKING_ONLY /* ZSTD_d_forceIgnoreChecksum */
#include <xxhash.h>

#include "base/bytes.h"
#include "check/method.h"
#include "format/gzip/head.h"
#include "format/gzip/layout.h"
#include "fuzz.h"
#include "range/map.h"

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed);

enum { RESEAL_IMAGE_MAX = 4 << 20 };

/* ---- gzip ---- */

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

static inline void reseal_gzip(uint8_t *file, size_t len, bool all)
{
	struct bytes image = { 0 };
	struct gzip_head head;
	struct blockz_memory memory = { file, len };
	struct blockz_source source = blockz_source_memory(&memory);
	if (all && gzip_head_read(&source, 0, &head, NULL) == BLOCKZ_OK)
		reseal_trailer(file, len, (size_t)head.body_off, &image);
	if (find_index(file, len, &head)) {
		reseal_index(file, len, &head);
		if (all)
			reseal_pieces(file, len, &head, &image);
	}
	free(image.data);
}

/* ---- xz: xz-file-format 1.1 ---- */

/* A part of the file. */
struct part {
	size_t off, len;
};

/* The Index of the last Stream, where the Stream Footer says, without its CRC-32. */
static inline bool find_xz_index(const uint8_t *file, size_t len, struct part *part_ret)
{
	if (len < 2 * LZMA_STREAM_HEADER_SIZE)
		return false;
	uint64_t index_len = ((uint64_t)load_le32(file + len - 8) + 1) * 4;
	if (index_len > len - 2 * LZMA_STREAM_HEADER_SIZE)
		return false;
	*part_ret = (struct part){ len - LZMA_STREAM_HEADER_SIZE - (size_t)index_len, (size_t)index_len - 4 };
	return true;
}

/* The Check of a Block, of len bytes in all, gets that of what it decodes to. */
static inline void reseal_block_check(uint8_t *block_bytes, size_t len, lzma_check check)
{
	static uint8_t image[RESEAL_IMAGE_MAX];
	lzma_filter filters[LZMA_FILTERS_MAX + 1];
	lzma_block block = { .version = 1, .check = check, .filters = filters, .ignore_check = true };
	enum check_method method = check == LZMA_CHECK_CRC32  ? CHECK_CRC32
				   : check == LZMA_CHECK_CRC64  ? CHECK_CRC64
				   : check == LZMA_CHECK_SHA256 ? CHECK_SHA256
								: CHECK_NONE;
	size_t in_pos, out_pos = 0;
	block.header_size = lzma_block_header_size_decode(block_bytes[0]);
	if (block.header_size > len || (method == CHECK_NONE && check != LZMA_CHECK_NONE) ||
	    lzma_block_header_decode(&block, NULL, block_bytes) != LZMA_OK)
		return;
	in_pos = block.header_size;
	block.ignore_check = true;
	/* No more than the image is needed, whatever the header says. */
	for (lzma_filter *filter = filters; filter->id != LZMA_VLI_UNKNOWN; filter++) {
		lzma_options_lzma *options = filter->options;
		if (filter->id == LZMA_FILTER_LZMA2 && options->dict_size > sizeof(image))
			options->dict_size = sizeof(image);
	}
	if (lzma_block_buffer_decode(&block, NULL, block_bytes, &in_pos, len, image, &out_pos, sizeof(image)) == LZMA_OK)
		assert(check_sum(method, image, out_pos, block_bytes + in_pos - lzma_check_size(check)));
	lzma_filters_free(filters, NULL);
}

/* The headers, and the Checks if all is set, of as many Blocks as the Records tell the places of. */
static inline void reseal_blocks(uint8_t *file, const struct part *index, bool all)
{
	uint64_t records = 0, unpadded = 0, image_len = 0, off = LZMA_STREAM_HEADER_SIZE;
	size_t pos = 1;
	const uint8_t *bytes = file + index->off;
	if (lzma_vli_decode(&records, NULL, bytes, &pos, index->len) != LZMA_OK)
		return;
	for (; records > 0 && off < index->off; records--) {
		uint64_t header_len = ((uint64_t)file[off] + 1) * 4;
		if (header_len <= index->off - off)
			store_le32(file + off + header_len - 4, lzma_crc32(file + off, header_len - 4, 0));
		if (lzma_vli_decode(&unpadded, NULL, bytes, &pos, index->len) != LZMA_OK ||
		    lzma_vli_decode(&image_len, NULL, bytes, &pos, index->len) != LZMA_OK || unpadded > index->off - off)
			return;
		if (all && file[off] != 0)
			reseal_block_check(file + off, index->off - off, file[7] & 15);
		off += (unpadded + 3) / 4 * 4;
	}
}

static inline void reseal_xz(uint8_t *file, size_t len, bool all)
{
	struct part index;
	if (!find_xz_index(file, len, &index))
		return;
	uint8_t *footer = file + len - LZMA_STREAM_HEADER_SIZE;
	reseal_blocks(file, &index, all);
	store_le32(file + index.off + index.len, lzma_crc32(file + index.off, index.len, 0));
	store_le32(file + 8, lzma_crc32(file + 6, 2, 0));
	store_le32(footer, lzma_crc32(footer + 4, 6, 0));
}

/* ---- zstd: the seek table, an entry of 8 or 12 bytes a frame, and a footer of 9 ---- */

static inline bool find_seek_table(const uint8_t *file, size_t len, struct part *part_ret)
{
	if (len < 17)
		return false;
	const uint8_t *footer = file + len - 9;
	uint64_t table_len = (uint64_t)load_le32(footer) * (footer[4] & 128 ? 12 : 8) + 9;
	if (table_len > len)
		return false;
	*part_ret = (struct part){ len - (size_t)table_len, (size_t)table_len };
	return true;
}

/* The checksum of a frame, of len bytes in all, gets that of what it decodes to; *checksum_ret gets it in any case. */
static inline bool reseal_frame(uint8_t *frame, size_t len, uint32_t *checksum_ret)
{
	static uint8_t image[RESEAL_IMAGE_MAX];
	ZSTD_DCtx *context = ZSTD_createDCtx();
	assert(context != NULL && !ZSTD_isError(ZSTD_DCtx_setParameter(context, ZSTD_d_forceIgnoreChecksum, 1)));
	size_t result = ZSTD_decompressDCtx(context, image, sizeof(image), frame, len);
	ZSTD_freeDCtx(context);
	if (ZSTD_isError(result))
		return false;
	*checksum_ret = (uint32_t)XXH64(image, result, 0);
	if ((load_le32(frame) & ~15u) != ZSTD_MAGIC_SKIPPABLE_START && frame[4] & 4)
		store_le32(frame + len - 4, *checksum_ret);
	return true;
}

/* Frames get their checksums, and the table the lengths and checksums of frames, as far as it goes; and its own magic. */
static inline void reseal_zstd(uint8_t *file, size_t len, bool all)
{
	struct part table;
	if (!find_seek_table(file, len, &table) || table.off < 8)
		return;
	bool checksums = file[len - 5] & 128;
	uint8_t *entry = file + table.off;
	size_t off = 0, frame_len;
	store_le32(file + table.off - 8, 0x184d2a5e);
	store_le32(file + table.off - 4, (uint32_t)table.len);
	store_le32(file + len - 4, 0x8f92eab1);
	for (; all && entry < file + len - 9 && off < table.off - 8; off += frame_len) {
		uint32_t checksum = 0;
		frame_len = ZSTD_findFrameCompressedSize(file + off, table.off - 8 - off);
		if (ZSTD_isError(frame_len) || !reseal_frame(file + off, frame_len, &checksum))
			return;
		store_le32(entry, (uint32_t)frame_len);
		if (checksums)
			store_le32(entry + 8, checksum);
		entry += checksums ? 12 : 8;
	}
}

/* ---- All of them ---- */

/* What tells where all else is: mutations of it go deepest. */
static inline bool find_core(const uint8_t *file, size_t len, struct part *part_ret)
{
	struct gzip_head head;
	switch (format_of(file, len)) {
	case XZ:
		return find_xz_index(file, len, part_ret);
	case ZSTD:
		return find_seek_table(file, len, part_ret);
	default:
		if (!find_index(file, len, &head))
			return false;
		*part_ret = (struct part){ head.index_off + INDEX_PIECE_LOG_OFF,
					   head.index_len - INDEX_PIECE_LOG_OFF - INDEX_CRC_LEN };
		return true;
	}
}

/* Mutates the file behind the first `prefix` bytes, which are the target's own. */
static inline size_t mutate_file(uint8_t *data, size_t size, size_t max_size, unsigned int seed, size_t prefix)
{
	struct part core;
	uint8_t *file = data + prefix;
	bool only_core = seed % 4 == 0, reseal = seed / 4 % 4 != 0, all = seed / 4 % 4 > 1;
	if (only_core && size > prefix && find_core(file, size - prefix, &core) && core.len > 0) {
		size_t used = LLVMFuzzerMutate(file + core.off, core.len, core.len);
		memset(file + core.off + used, 0, core.len - used);
	} else {
		size = LLVMFuzzerMutate(data, size, max_size);
	}
	if (size <= prefix || !reseal)
		return size;
	switch (format_of(file, size - prefix)) {
	case XZ:
		reseal_xz(file, size - prefix, all);
		break;
	case ZSTD:
		reseal_zstd(file, size - prefix, all);
		break;
	default:
		reseal_gzip(file, size - prefix, all);
	}
	return size;
}

#endif
