/* SPDX-License-Identifier: BSD-3-Clause */
/* Members are put together from deflate data that libraries made, or from blocks written bit by bit. */
#include "foreign.h"

#include <libdeflate.h>
#include <string.h>

#include "format/gzip/layout.h"

struct zlib_file *zlib_begin(int level, int strategy, size_t image_len)
{
	struct zlib_file *file = keep(sizeof(*file));
	ck_assert_int_eq(deflateInit2(&file->z, level, Z_DEFLATED, 31, 8, strategy), Z_OK);
	file->out = bytes_new(image_len + image_len / 4 + 100000);
	file->z.next_out = file->out.data;
	file->z.avail_out = (uInt)file->out.len;
	return file;
}

void zlib_put(struct zlib_file *file, const void *data, size_t len, int flush)
{
	file->z.next_in = (uint8_t *)(uintptr_t)data;
	file->z.avail_in = (uInt)len;
	ck_assert_int_eq(deflate(&file->z, flush), flush == Z_FINISH ? Z_STREAM_END : Z_OK);
	ck_assert_uint_eq(file->z.avail_in, 0);
}

void zlib_level(struct zlib_file *file, int level)
{
	ck_assert_int_eq(deflateParams(&file->z, level, Z_DEFAULT_STRATEGY), Z_OK);
}

struct bytes zlib_end(struct zlib_file *file)
{
	zlib_put(file, "", 0, Z_FINISH);
	file->out.len = file->z.total_out;
	deflateEnd(&file->z);
	return bytes_copy(file->out);
}

struct bytes zlib_pack(struct bytes image, int level, int strategy)
{
	struct zlib_file *file = zlib_begin(level, strategy, image.len);
	if (image.len > 0)
		zlib_put(file, image.data, image.len, Z_NO_FLUSH);
	return zlib_end(file);
}

struct bytes libdeflate_pack(struct bytes image, int level)
{
	struct libdeflate_compressor *compressor = libdeflate_alloc_compressor(level);
	ck_assert_ptr_nonnull(compressor);
	struct bytes file = bytes_new(libdeflate_gzip_compress_bound(compressor, image.len));
	file.len = libdeflate_gzip_compress(compressor, image.data, image.len, file.data, file.len);
	ck_assert_uint_gt(file.len, 0);
	libdeflate_free_compressor(compressor);
	return bytes_copy(file);
}

/* ---- By hand ---- */

void deflate_append(struct deflate_data *data, const void *bytes, size_t len)
{
	bytes_append(&data->bytes, &data->room, bytes, len);
}

void deflate_append_stored(struct deflate_data *data, const void *payload, size_t len, bool final)
{
	uint8_t header[] = { final, (uint8_t)len, (uint8_t)(len >> 8), (uint8_t)~len, (uint8_t)(~len >> 8) };
	ck_assert_uint_le(len, 65535);
	deflate_append(data, header, sizeof(header));
	deflate_append(data, payload, len);
}

struct bytes gzip_member(struct bytes deflate, struct bytes image)
{
	static const uint8_t head[10] = { 0x1f, 0x8b, 8, [9] = 3 };
	uint64_t checks = (uint64_t)(uint32_t)image.len << 32 | crc32_z(0, image.data, image.len);
	struct bytes member = bytes_new(sizeof(head) + deflate.len + 8);
	memcpy(member.data, head, sizeof(head));
	memcpy(member.data + sizeof(head), deflate.data, deflate.len);
	for (size_t i = 0; i < 8; i++)
		member.data[sizeof(head) + deflate.len + i] = (uint8_t)(checks >> 8 * i);
	return member;
}

/* ---- Indexes ---- */

static void put_le(uint8_t *bytes, uint64_t value, size_t len)
{
	for (size_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)(value >> 8 * i);
}

static void append_varint(struct deflate_data *data, uint64_t value)
{
	uint8_t byte;
	do {
		byte = (uint8_t)((value & 0x7f) | (value >= 0x80 ? 0x80 : 0));
		deflate_append(data, &byte, 1);
		value >>= 7;
	} while (byte >= 0x80);
}

struct bytes index_of(struct bytes file)
{
	size_t at = GZIP_HEAD_LEN + GZIP_XLEN_LEN + GZIP_SUBFIELD_LEN;
	ck_assert_uint_gt(file.len, at);
	ck_assert_uint_eq(file.data[3], GZIP_FEXTRA);
	ck_assert_mem_eq(file.data + 12, "BZ", 2);
	return (struct bytes){ file.data + at, file.data[14] | (size_t)file.data[15] << 8 };
}

void index_reseal(struct bytes file)
{
	struct bytes index = index_of(file);
	put_le(index.data + index.len - 4, crc32_z(0, index.data, index.len - 4), 4);
}

struct bytes gzip_indexed(struct bytes deflate, struct bytes image, const struct index_claim *claims, size_t count,
			  const uint32_t *raw_crcs, size_t crc_count)
{
	struct bytes plain = gzip_member(deflate, image);
	struct deflate_data index = { .room = 0 };
	uint8_t head[16] = { 0x1f, 0x8b, 8, GZIP_FEXTRA, [9] = 255, [12] = 'B', [13] = 'Z' };
	uint8_t facts[INDEX_COUNT_OFF] = { INDEX_VERSION_PIECES, [INDEX_PIECE_LOG_OFF] = INDEX_PIECE_LOG_MIN };
	deflate_append(&index, facts, sizeof(facts));
	append_varint(&index, count);
	for (size_t i = 0; i < count; i++) {
		append_varint(&index, claims[i].file_len << 2 | claims[i].type);
		if (claims[i].type != INDEX_DATA)
			append_varint(&index, claims[i].image_len);
	}
	for (size_t i = 0; i < crc_count; i++) {
		uint8_t crc[4];
		put_le(crc, raw_crcs[i], 4);
		deflate_append(&index, crc, 4);
	}
	deflate_append(&index, "\0\0\0\0\0\0\0\0", 8); /* padding, and the CRC */
	put_le(head + 10, index.bytes.len + GZIP_SUBFIELD_LEN, 2);
	put_le(head + 14, index.bytes.len, 2);
	struct bytes file = bytes_join((struct bytes){ head, sizeof(head) }, index.bytes);
	file = bytes_join(file, (struct bytes){ plain.data + GZIP_HEAD_LEN, plain.len - GZIP_HEAD_LEN });
	uint8_t *bytes = index_of(file).data;
	put_le(bytes + INDEX_IMAGE_SIZE_OFF, image.len, 8);
	put_le(bytes + INDEX_FILE_SIZE_OFF, file.len, 8);
	memcpy(bytes + INDEX_TRAILER_OFF, file.data + file.len - 8, 8);
	index_reseal(file);
	return file;
}

/* ---- The unterminated piece ---- */

static void put_bits(struct bytes bytes, size_t *at, unsigned code, unsigned count)
{
	while (count-- > 0) { /* Huffman codes have their first bit highest */
		bytes.data[*at / 8] |= (uint8_t)((code >> count & 1) << *at % 8);
		++*at;
	}
}

struct bytes unterminated_piece(struct bytes *image_ret)
{
	struct bytes piece = bytes_new(25);
	size_t bit = 0;
	*image_ret = bytes_new(24);
	put_bits(piece, &bit, 6, 3); /* BFINAL 1, fixed codes */
	for (size_t i = 0; i < 23; i++) {
		image_ret->data[i] = i < 7 ? 200 : 'x';
		put_bits(piece, &bit, i < 7 ? 0x190 + 200 - 144 : 0x30 + 'x', i < 7 ? 9 : 8);
	}
	put_bits(piece, &bit, 0x33 >> 2, 6); /* 6 of 8 bits; `03 00` has the other two, and an end of block */
	image_ret->data[23] = 0x33 - 0x30;
	ck_assert_uint_eq(bit, 8 * piece.len);
	return piece;
}
