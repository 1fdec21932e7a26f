/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Encoding one Block.  Its header holds both sizes, which are known only at the end: the data is encoded behind room for a
 * header of the length that the largest sizes would need, and the header's own padding fills it up.
 */
#include "format/xz/encode.h"

#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "format/xz/coding.h"

struct encoder {
	lzma_stream stream; /* keeps its memory from Block to Block */
	struct xz_block chain; /* of filters */
	enum check_method check;
};

uint32_t xz_preset(const struct pack_params *params)
{
	return (uint32_t)params->level | (params->extreme ? LZMA_PRESET_EXTREME : 0);
}

void xz_encoder_free(void *memory)
{
	struct encoder *encoder = memory;
	if (encoder == NULL)
		return;
	lzma_end(&encoder->stream);
	xz_block_free(&encoder->chain);
	free(encoder);
}

void *xz_encoder_new(const struct pack_params *params)
{
	struct encoder *encoder = malloc(sizeof(*encoder));
	if (encoder == NULL)
		return NULL;
	*encoder = (struct encoder){ .stream = LZMA_STREAM_INIT, .check = params->check };
	if (xz_coding_chain(params, &encoder->chain, NULL) != BLOCKZ_OK) {
		free(encoder);
		return NULL;
	}
	return encoder;
}

uint64_t xz_encoder_memory(const struct pack_params *params)
{
	lzma_options_lzma options = { .dict_size = 0 };
	const lzma_filter filters[] = { { LZMA_FILTER_LZMA2, &options }, { LZMA_VLI_UNKNOWN, NULL } };
	if (!xz_coding_options(params, &options))
		return UINT64_MAX;
	uint64_t usage = lzma_raw_encoder_memusage(filters);
	/* A piece as it was read, and encoded twice, since as many as there are threads wait for their turn; liblzma's. */
	return usage == UINT64_MAX ? UINT64_MAX : 3 * params->piece_size + usage;
}

static enum blockz_status encoding_failed(lzma_ret result, struct blockz_fault *fault)
{
	if (result == LZMA_MEM_ERROR)
		return fault_nomem(fault);
	return fault_set(fault, BLOCKZ_FAILED, BLOCKZ_UNKNOWN, "liblzma: error %d while encoding a Block", (int)result);
}

/* LZMA2 stores what does not compress, with 3 bytes for each 64 KiB and less. */
static size_t room_for(size_t len)
{
	return len + len / 1024 + BLOCK_HEADER_LEN_MAX + CHECK_LEN_MAX + 64;
}

static uint32_t header_len(lzma_filter *filters, size_t image_len)
{
	lzma_block block = { .compressed_size = room_for(image_len), .uncompressed_size = image_len, .filters = filters };
	return lzma_block_header_size(&block) == LZMA_OK ? block.header_size : 0;
}

uint32_t xz_header_len(size_t image_len)
{
	lzma_options_lzma options = { .dict_size = LZMA_DICT_SIZE_MIN };
	lzma_filter filters[] = { { LZMA_FILTER_LZMA2, &options }, { LZMA_VLI_UNKNOWN, NULL } };
	return header_len(filters, image_len);
}

static enum blockz_status encode_compressed(struct encoder *encoder, const struct plain_piece *plain,
					    struct encoding *encoding, struct blockz_fault *fault)
{
	size_t len = plain->len, room = room_for(len);
	struct buffer *out = &encoding->out;
	lzma_filter *filters = encoder->chain.filters;
	lzma_block block = {
		.check = xz_check_id(encoder->check), .compressed_size = room, .uncompressed_size = len, .filters = filters,
		.header_size = header_len(filters, len),
	};
	lzma_stream *stream = &encoder->stream;
	if (!buffer_reserve(out, room))
		return fault_nomem(fault);
	lzma_ret result = lzma_block_encoder(stream, &block);
	if (result != LZMA_OK)
		return encoding_failed(result, fault);
	stream->next_in = plain->bytes;
	stream->avail_in = len;
	stream->next_out = out->bytes + block.header_size;
	stream->avail_out = room - block.header_size;
	result = lzma_code(stream, LZMA_FINISH);
	if (result != LZMA_STREAM_END)
		return encoding_failed(result == LZMA_OK ? LZMA_BUF_ERROR : result, fault);
	result = lzma_block_header_encode(&block, out->bytes);
	if (result != LZMA_OK)
		return encoding_failed(result, fault);
	encoding->len = room - stream->avail_out;
	encoding->tag = encoding->len - lzma_block_unpadded_size(&block);
	return BLOCKZ_OK;
}

static enum blockz_status encode_raw(const struct encoder *encoder, const struct plain_piece *plain,
				     struct encoding *encoding, struct blockz_fault *fault)
{
	uint64_t start = plain->start, end = start + plain->len;
	struct buffer *out = &encoding->out;
	uint8_t field[CHECK_LEN_MAX];
	if (!buffer_reserve(out, (size_t)raw_chunks_len(start, end) + BLOCK_HEADER_LEN_MAX + ALIGNMENT + CHECK_LEN_MAX) ||
	    !check_sum(encoder->check, plain->bytes, plain->len, field))
		return fault_nomem(fault);
	size_t header_len = raw_block_header(out->bytes, start, end, encoder->check);
	if (header_len == 0)
		return fault_nomem(fault);
	uint8_t *p = out->bytes + header_len;
	for (uint64_t pos = start, chunk_end; pos < end; pos = chunk_end) {
		chunk_end = raw_chunk_end(pos, end);
		size_t chunk = (size_t)(chunk_end - pos);
		p[0] = pos == start ? CHUNK_RAW_RESET : CHUNK_RAW;
		p[1] = (uint8_t)((chunk - 1) >> 8);
		p[2] = (uint8_t)(chunk - 1);
		memcpy(p + CHUNK_RAW_HEADER_LEN, plain->bytes + (pos - start), chunk);
		p += CHUNK_RAW_HEADER_LEN + chunk;
	}
	*p++ = CHUNK_END;
	for (encoding->tag = 0; (size_t)(p - out->bytes) % ALIGNMENT != 0; encoding->tag++)
		*p++ = 0;
	memcpy(p, field, check_methods[encoder->check].len);
	encoding->len = (size_t)(p - out->bytes) + check_methods[encoder->check].len;
	return BLOCKZ_OK;
}

enum blockz_status xz_encode(void *memory, const struct plain_piece *plain, struct encoding *encoding,
			     struct blockz_fault *fault)
{
	return plain->raw ? encode_raw(memory, plain, encoding, fault) : encode_compressed(memory, plain, encoding, fault);
}
