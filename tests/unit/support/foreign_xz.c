/* SPDX-License-Identifier: BSD-3-Clause */
/* Streams are put together by liblzma's functions for headers, Blocks and Indexes, and chunks byte by byte. */
#include "foreign_xz.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"

/* ---- liblzma's encoders ---- */

/* Runs an encoder over an image; ends it. */
static struct bytes run(lzma_stream *stream, struct bytes image)
{
	struct bytes out = bytes_new(image.len + image.len / 8 + 4096);
	stream->next_in = image.data;
	stream->avail_in = image.len;
	stream->next_out = out.data;
	stream->avail_out = out.len;
	lzma_ret ret = LZMA_OK;
	while (ret == LZMA_OK)
		ret = lzma_code(stream, LZMA_FINISH);
	ck_assert_int_eq(ret, LZMA_STREAM_END);
	out.len = stream->total_out;
	lzma_end(stream);
	return out;
}

struct bytes xz_easy(struct bytes image, uint32_t preset, lzma_check check)
{
	lzma_stream stream = LZMA_STREAM_INIT;
	ck_assert_int_eq(lzma_easy_encoder(&stream, preset, check), LZMA_OK);
	return run(&stream, image);
}

struct bytes xz_threaded(struct bytes image, uint32_t preset, lzma_check check, uint64_t block_size)
{
	lzma_stream stream = LZMA_STREAM_INIT;
	lzma_mt mt = { .threads = 2, .block_size = block_size, .preset = preset, .check = check };
	ck_assert_int_eq(lzma_stream_encoder_mt(&stream, &mt), LZMA_OK);
	return run(&stream, image);
}

struct bytes lzma2_data(struct bytes image, const lzma_filter *filters)
{
	lzma_stream stream = LZMA_STREAM_INIT;
	ck_assert_int_eq(lzma_raw_encoder(&stream, filters), LZMA_OK);
	return run(&stream, image);
}

/* ---- By hand ---- */

static void append(struct bytes *bytes, const void *data, size_t len)
{
	*bytes = bytes_join(*bytes, (struct bytes){ (uint8_t *)(uintptr_t)data, len });
}

struct xz_stream *xz_begin(lzma_check check)
{
	struct xz_stream *stream = keep(sizeof(*stream));
	uint8_t header[LZMA_STREAM_HEADER_SIZE];
	stream->check = check;
	stream->index = lzma_index_init(NULL);
	ck_assert_int_eq(lzma_stream_header_encode(&(lzma_stream_flags){ .check = check }, header), LZMA_OK);
	append(&stream->bytes, header, sizeof(header));
	return stream;
}

/* The Check of image by liblzma, as it makes it for a Block of raw chunks. */
static void check_of(struct bytes image, lzma_check check, uint8_t *field)
{
	lzma_block block = { .version = 1, .check = check };
	size_t pos = 0, room = lzma_block_buffer_bound(image.len);
	uint8_t *out = malloc(room);
	ck_assert_int_eq(lzma_block_uncomp_encode(&block, image.data, image.len, out, &pos, room), LZMA_OK);
	memcpy(field, block.raw_check, LZMA_CHECK_SIZE_MAX);
	free(out);
}

void xz_put_data(struct xz_stream *stream, struct bytes data, struct bytes image, const lzma_filter *filters)
{
	lzma_options_lzma options = { .dict_size = 1 << 20 };
	lzma_filter own[] = { { LZMA_FILTER_LZMA2, &options }, { LZMA_VLI_UNKNOWN, NULL } };
	lzma_block block = {
		.version = 1, .check = stream->check, .filters = filters != NULL ? (lzma_filter *)(uintptr_t)filters : own,
		.compressed_size = stream->no_sizes ? LZMA_VLI_UNKNOWN : data.len,
		.uncompressed_size = stream->no_sizes ? LZMA_VLI_UNKNOWN : image.len,
	};
	uint8_t header[LZMA_BLOCK_HEADER_SIZE_MAX], field[LZMA_CHECK_SIZE_MAX];
	ck_assert_int_eq(lzma_block_header_size(&block), LZMA_OK);
	ck_assert_int_eq(lzma_block_header_encode(&block, header), LZMA_OK);
	block.compressed_size = data.len;
	append(&stream->bytes, header, block.header_size);
	append(&stream->bytes, data.data, data.len);
	append(&stream->bytes, "\0\0\0", (4 - data.len % 4) % 4);
	check_of(image, stream->check, field);
	append(&stream->bytes, field, lzma_check_size(stream->check));
	ck_assert_int_eq(lzma_index_append(stream->index, NULL, lzma_block_unpadded_size(&block), image.len), LZMA_OK);
}

void xz_put(struct xz_stream *stream, struct bytes image, const lzma_filter *filters)
{
	xz_put_data(stream, lzma2_data(image, filters), image, filters);
}

void xz_put_raw(struct xz_stream *stream, struct bytes image)
{
	lzma_block block = { .version = 1, .check = stream->check };
	size_t pos = 0;
	struct bytes out = bytes_new(lzma_block_buffer_bound(image.len));
	ck_assert_int_eq(lzma_block_uncomp_encode(&block, image.data, image.len, out.data, &pos, out.len), LZMA_OK);
	append(&stream->bytes, out.data, pos);
	ck_assert_int_eq(lzma_index_append(stream->index, NULL, lzma_block_unpadded_size(&block), image.len), LZMA_OK);
}

struct bytes xz_end(struct xz_stream *stream)
{
	lzma_stream_flags flags = { .check = stream->check, .backward_size = lzma_index_size(stream->index) };
	struct bytes tail = bytes_new((size_t)flags.backward_size + LZMA_STREAM_HEADER_SIZE);
	size_t pos = 0;
	ck_assert_int_eq(lzma_index_buffer_encode(stream->index, tail.data, &pos, tail.len), LZMA_OK);
	ck_assert_int_eq(lzma_stream_footer_encode(&flags, tail.data + pos), LZMA_OK);
	lzma_index_end(stream->index, NULL);
	return bytes_join(stream->bytes, tail);
}

void chunks_raw(struct bytes *data, struct bytes payload, bool reset)
{
	size_t size = payload.len - 1;
	uint8_t header[] = { reset ? 1 : 2, (uint8_t)(size >> 8), (uint8_t)size };
	ck_assert_uint_le(payload.len, 65536);
	append(data, header, sizeof(header));
	append(data, payload.data, payload.len);
}

void chunks_lzma(struct bytes *data, struct bytes image, uint8_t control, const lzma_options_lzma *options)
{
	const lzma_filter filters[] = { { LZMA_FILTER_LZMA2, (void *)(uintptr_t)options }, { LZMA_VLI_UNKNOWN, NULL } };
	struct bytes chunks = lzma2_data(image, filters);
	ck_assert_uint_ge(chunks.data[0], 0xe0);
	uint8_t header[6];
	memcpy(header, chunks.data, sizeof(header));
	header[0] = control | (header[0] & 0x1f);
	append(data, header, control >= 0xc0 ? 6 : 5);
	append(data, chunks.data + 6, chunks.len - 7); /* without the end */
}

void chunks_end(struct bytes *data)
{
	append(data, "", 1);
}

/* ---- Lies ---- */

size_t xz_index_off(struct bytes file)
{
	return file.len - 12 - ((size_t)load_le32(file.data + file.len - 8) + 1) * 4;
}

void xz_reseal_index(struct bytes file)
{
	size_t off = xz_index_off(file), end = file.len - 16;
	store_le32(file.data + end, lzma_crc32(file.data + off, end - off, 0));
}

void xz_reseal_block_header(struct bytes file, size_t off)
{
	size_t len = (size_t)file.data[off] * 4;
	store_le32(file.data + off + len, lzma_crc32(file.data + off, len, 0));
}
