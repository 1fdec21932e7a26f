/* SPDX-License-Identifier: BSD-3-Clause */
/* Frames are put together byte by byte, as RFC 8878 and the seekable format describe them. */
#include "foreign_zst.h"

#include <stdlib.h>
#include <xxhash.h>

#include "base/bytes.h"
#include "format/formats.h"

uint32_t zst_sum(const void *bytes, size_t len)
{
	return (uint32_t)XXH64(bytes, len, 0);
}

/* ---- The seek table ---- */

bool seek_table_find(struct bytes file, struct seek_table *table_ret)
{
	const uint8_t *footer = file.data + file.len - 9;
	if (file.len < 17 || load_le32(footer + 5) != 0x8f92eab1)
		return false;
	struct seek_table table = { .count = load_le32(footer), .checksums = footer[4] >> 7 };
	size_t entry_len = table.checksums ? 12 : 8, len = table.count * entry_len + 9;
	ck_assert_uint_eq(footer[4] & 0x7f, 0);
	ck_assert_uint_le(len + 8, file.len);
	table.off = file.len - len - 8;
	ck_assert_uint_eq(load_le32(file.data + table.off), 0x184d2a5e);
	ck_assert_uint_eq(load_le32(file.data + table.off + 4), len);
	table.entries = keep((table.count + 1) * sizeof(*table.entries));
	for (size_t i = 0; i < table.count; i++) {
		const uint8_t *p = file.data + table.off + 8 + i * entry_len;
		table.entries[i] = (struct seek_entry){ load_le32(p), load_le32(p + 4),
							table.checksums ? load_le32(p + 8) : 0 };
	}
	*table_ret = table;
	return true;
}

void assert_seek_table(struct bytes file, struct bytes image, bool checksums)
{
	struct seek_table table;
	size_t off = 0, pos = 0;
	ck_assert(seek_table_find(file, &table));
	ck_assert(table.checksums == checksums);
	for (size_t i = 0; i < table.count; i++) {
		const struct seek_entry *entry = &table.entries[i];
		ck_assert_uint_le(entry->file_len, table.off - off);
		ck_assert_uint_le(entry->image_len, image.len - pos);
		struct bytes frame = { file.data + off, entry->file_len }, content = { image.data + pos, entry->image_len };
		uint8_t *room = malloc(content.len + 1);
		ck_assert_uint_eq(ZSTD_findFrameCompressedSize(frame.data, frame.len), frame.len);
		ck_assert_uint_eq(ZSTD_decompress(room, content.len, frame.data, frame.len), content.len);
		ck_assert(content.len == 0 || memcmp(room, content.data, content.len) == 0);
		free(room);
		if (checksums)
			ck_assert_uint_eq(entry->checksum, zst_sum(content.data, content.len));
		off += entry->file_len;
		pos += entry->image_len;
	}
	ck_assert_uint_eq(off, table.off);
	ck_assert_uint_eq(pos, image.len);
}

/* ---- By libzstd ---- */

struct bytes zst_compress(struct bytes image, bool sized, const struct zst_parameter *parameters, size_t count)
{
	ZSTD_CCtx *context = ZSTD_createCCtx();
	struct bytes out = bytes_new(ZSTD_compressBound(image.len) + 100);
	for (size_t i = 0; i < count; i++)
		ck_assert(!ZSTD_isError(ZSTD_CCtx_setParameter(context, parameters[i].name, parameters[i].value)));
	if (sized) {
		out.len = ZSTD_compress2(context, out.data, out.len, image.data, image.len);
		ck_assert(!ZSTD_isError(out.len));
	} else {
		/* All at once would tell it the length. */
		ZSTD_outBuffer to = { out.data, out.len, 0 };
		ZSTD_inBuffer from = { image.data, image.len, 0 };
		ck_assert(!ZSTD_isError(ZSTD_compressStream2(context, &to, &from, ZSTD_e_continue)));
		ck_assert_uint_eq(ZSTD_compressStream2(context, &to, &from, ZSTD_e_end), 0);
		out.len = to.pos;
	}
	ZSTD_freeCCtx(context);
	return out;
}

/* ---- By hand ---- */

void zst_put(struct zst_file *file, const void *bytes, size_t len)
{
	bytes_append(&file->bytes, &file->room, bytes, len);
}

void zst_put_header(struct zst_file *file, int descriptor, int window, uint64_t content_size)
{
	static const size_t lens[] = { 0, 2, 4, 8 };
	uint8_t bytes[18] = { 0x28, 0xb5, 0x2f, 0xfd, (uint8_t)descriptor, (uint8_t)window };
	size_t pos = descriptor & ZST_SINGLE ? 5 : 6, len = lens[descriptor >> 6];
	if (descriptor & ZST_SINGLE && len == 0)
		len = 1;
	store_le64(bytes + pos, len == 2 ? content_size - 256 : content_size);
	zst_put(file, bytes, pos + len);
}

void zst_put_block(struct zst_file *file, bool last, int type, size_t size, const void *bytes)
{
	uint8_t header[4];
	store_le32(header, (uint32_t)last | (uint32_t)type << 1 | (uint32_t)size << 3);
	zst_put(file, header, 3);
	zst_put(file, bytes, type == ZST_RLE ? 1 : size);
}

void zst_put_checksum(struct zst_file *file, struct bytes content)
{
	uint8_t field[4];
	store_le32(field, zst_sum(content.data, content.len));
	zst_put(file, field, sizeof(field));
}

void zst_put_skippable(struct zst_file *file, int kind, size_t len)
{
	uint8_t header[8];
	store_le32(header, 0x184d2a50 + (uint32_t)kind);
	store_le32(header + 4, (uint32_t)len);
	zst_put(file, header, sizeof(header));
	struct bytes content = image_new(IMAGE_NOISE, len);
	zst_put(file, content.data, len);
}

void zst_put_table(struct zst_file *file, const struct seek_entry *entries, size_t count, bool checksums)
{
	uint8_t bytes[12];
	store_le32(bytes, 0x184d2a5e);
	store_le32(bytes + 4, (uint32_t)(count * (checksums ? 12 : 8) + 9));
	zst_put(file, bytes, 8);
	for (size_t i = 0; i < count; i++) {
		store_le32(bytes, entries[i].file_len);
		store_le32(bytes + 4, entries[i].image_len);
		store_le32(bytes + 8, entries[i].checksum);
		zst_put(file, bytes, checksums ? 12 : 8);
	}
	store_le32(bytes, (uint32_t)count);
	bytes[4] = checksums ? 0x80 : 0;
	store_le32(bytes + 5, 0x8f92eab1);
	zst_put(file, bytes, 9);
}

void zst_put_raw_frame(struct zst_file *file, struct bytes content, size_t cut, int descriptor, int window)
{
	zst_put_header(file, descriptor, window, content.len);
	size_t pos = 0;
	do {
		size_t len = content.len - pos < cut ? content.len - pos : cut;
		zst_put_block(file, pos + len == content.len, ZST_RAW, len, content.data + pos);
		pos += len;
	} while (pos < content.len);
	if (descriptor & ZST_CHECKSUM)
		zst_put_checksum(file, content);
}

/* ---- Ours ---- */

void zst_assert_frame(struct bytes frame, struct bytes image)
{
	struct bytes room = bytes_new(image.len + DECODE_SLACK);
	ck_assert_uint_eq(ZSTD_decompress(room.data, image.len, frame.data, frame.len), image.len);
	ck_assert_mem_eq(room.data, image.data, image.len);
	memset(room.data, 0, room.len);
	ZSTD_DStream *stream = ZSTD_createDStream();
	ZSTD_outBuffer out = { room.data, image.len, 0 };
	size_t hint = 1;
	for (size_t pos = 0; pos < frame.len; pos += 1000) {
		ZSTD_inBuffer in = { frame.data + pos, frame.len - pos < 1000 ? frame.len - pos : 1000, 0 };
		while (in.pos < in.size) {
			hint = ZSTD_decompressStream(stream, &out, &in);
			ck_assert(!ZSTD_isError(hint));
		}
	}
	ck_assert_uint_eq(hint, 0);
	ZSTD_freeDStream(stream);
	ck_assert_uint_eq(out.pos, image.len);
	ck_assert_mem_eq(room.data, image.data, image.len);
	void *decoder = format_zstd.decoder_new(128 * MIB);
	struct bytes copy = bytes_new(frame.len + DECODE_SLACK);
	memcpy(copy.data, frame.data, frame.len);
	struct encoded_piece encoded = { .bytes = copy.data, .len = frame.len, .strict = true };
	memset(room.data, 0, room.len);
	ck_assert_int_eq(format_zstd.decode(decoder, &encoded, room.data, image.len, NULL), BLOCKZ_OK);
	ck_assert_mem_eq(room.data, image.data, image.len);
	format_zstd.decoder_free(decoder);
}

bool zst_fill(struct bytes frame, size_t amount, struct bytes *filled_ret)
{
	struct encoding encoding = { .len = frame.len, .tag = 7 };
	bool filled = false;
	ck_assert(buffer_reserve(&encoding.out, frame.len));
	memcpy(encoding.out.bytes, frame.data, frame.len);
	ck_assert_int_eq(format_zstd.fill(&encoding, frame.len + amount, &filled, NULL), BLOCKZ_OK);
	ck_assert_uint_eq(encoding.len, filled ? frame.len + amount : frame.len);
	ck_assert_uint_eq(encoding.tag, 7);
	*filled_ret = bytes_new(encoding.len);
	memcpy(filled_ret->data, encoding.out.bytes, encoding.len);
	buffer_free(&encoding.out);
	if (!filled)
		assert_bytes(*filled_ret, frame);
	return filled;
}
