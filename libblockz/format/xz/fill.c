/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Filling a Block up to a length: by Header Padding, which takes nearly 1024 bytes, and where that is too little by raw
 * chunks at the end.
 *
 * How many bytes are to be raw is found by going forward from the start of a chunk.  Chunks before it stay.  From there on
 * the bytes are encoded once more, with those before them as the dictionary, part by part, until what is left, made raw,
 * is short enough.  A byte that is encoded makes the Block shorter by one at most.  So as long as it is 5000 bytes too
 * long, the next part has 5000 bytes, and does not go too far; if they become 1000, it is 1000 bytes too long then.  Only
 * the last part has a least size, and goes too far by less than that, which Header Padding makes up for.
 *
 * All of that is about LZMA2: filters before it have done their work already, and see no difference.
 */
#include "format/xz/fill.h"

#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "format/xz/block.h"
#include "format/xz/chunks.h"

enum {
	PART_MIN = 256,
	DICTIONARY_MAX = 1 << 20, /* more would cost more than it spares in a few parts */
	PRESET = 6,
};

struct filler {
	struct encoding *encoding;
	struct xz_block block;
	size_t data_off, data_len, check_len; /* of the LZMA2 data, and of the Check */
	size_t len;  /* that the Block is to have */
	size_t room; /* for LZMA2 data, in a header that is not longer than before */
	uint8_t *plain; /* what the LZMA2 data decode to */
	size_t plain_len;
	lzma_options_lzma options;
	lzma_stream stream;
	struct buffer data; /* new LZMA2 data */
	size_t packed_len;  /* of them, without the raw chunks */
	size_t pos;         /* so many bytes are in it */
};

static lzma_filter *lzma2_filter(struct xz_block *block)
{
	lzma_filter *filter = block->filters;
	while (filter->id != LZMA_FILTER_LZMA2)
		filter++;
	return filter;
}

/* Puts the Block together from LZMA2 data and a header that has the right length for them, if it can have that. */
static enum blockz_status lay_out(struct filler *filler, const uint8_t *data, size_t data_len, bool *filled_ret,
				  struct blockz_fault *fault)
{
	struct encoding *encoding = filler->encoding;
	lzma_block *block = &filler->block.block;
	struct buffer out = { 0 };
	size_t padding = -data_len % ALIGNMENT, behind = data_len + padding + filler->check_len;
	size_t header_len = filler->len - behind;
	block->compressed_size = data_len;
	if (behind > filler->len || lzma_block_header_size(block) != LZMA_OK || header_len < block->header_size ||
	    header_len > BLOCK_HEADER_LEN_MAX || header_len % ALIGNMENT != 0)
		return BLOCKZ_OK;
	block->header_size = (uint32_t)header_len;
	if (!buffer_reserve(&out, filler->len) || lzma_block_header_encode(block, out.bytes) != LZMA_OK) {
		buffer_free(&out);
		return fault_nomem(fault);
	}
	memcpy(out.bytes + header_len, data, data_len);
	memset(out.bytes + header_len + data_len, 0, padding);
	memcpy(out.bytes + filler->len - filler->check_len, encoding->out.bytes + encoding->len - filler->check_len,
	       filler->check_len);
	buffer_free(&encoding->out);
	*encoding = (struct encoding){ .out = out, .len = filler->len, .tag = padding };
	*filled_ret = true;
	return BLOCKZ_OK;
}

/* ---- Raw chunks at the end ---- */

/* Of raw chunks, and the end behind them. */
static size_t raw_len(size_t len)
{
	return len + (len + RAW_PAYLOAD - 1) / RAW_PAYLOAD * CHUNK_RAW_HEADER_LEN + CHUNK_END_LEN;
}

/* By how much the data are too long, if all is raw that is not encoded yet; 0: they are not. */
static size_t excess(const struct filler *filler)
{
	size_t len = filler->packed_len + raw_len(filler->plain_len - filler->pos);
	return len > filler->room ? len - filler->room : 0;
}

static enum blockz_status decode_data(struct filler *filler, struct blockz_fault *fault)
{
	size_t in_pos = filler->data_off, out_pos = 0;
	const lzma_filter filters[] = { *lzma2_filter(&filler->block), { LZMA_VLI_UNKNOWN, NULL } };
	filler->plain = malloc(filler->plain_len);
	if (filler->plain == NULL || lzma_raw_buffer_decode(filters, NULL, filler->encoding->out.bytes, &in_pos,
							     filler->data_off + filler->data_len, filler->plain, &out_pos,
							     filler->plain_len) != LZMA_OK)
		return fault_nomem(fault);
	return BLOCKZ_OK;
}

/* Keeps chunks as long as the Block would be too long if all behind them were raw. */
static void keep_chunks(struct filler *filler)
{
	const uint8_t *data = filler->encoding->out.bytes + filler->data_off;
	struct xz_chunk chunk;
	do {
		xz_chunk_parse(data + filler->packed_len, &chunk);
		filler->packed_len += chunk.header_len + chunk.payload_len;
		filler->pos += chunk.image_len;
	} while (excess(filler) > 0);
	filler->packed_len -= chunk.header_len + chunk.payload_len;
	filler->pos -= chunk.image_len;
	memcpy(filler->data.bytes, data, filler->packed_len);
}

static bool start_encoder(struct filler *filler)
{
	lzma_options_lzma *options = &filler->options;
	const lzma_filter filters[] = { { LZMA_FILTER_LZMA2, options }, { LZMA_VLI_UNKNOWN, NULL } };
	const lzma_options_lzma *own = lzma2_filter(&filler->block)->options;
	options->dict_size = own->dict_size < DICTIONARY_MAX ? own->dict_size : DICTIONARY_MAX;
	options->preset_dict_size = filler->pos < options->dict_size ? (uint32_t)filler->pos : options->dict_size;
	options->preset_dict = filler->plain + filler->pos - options->preset_dict_size;
	return lzma_raw_encoder(&filler->stream, filters) == LZMA_OK;
}

/* Encodes the next bytes, up to the end of a chunk.  False: there is no room for that. */
static bool encode_part(struct filler *filler, size_t len)
{
	lzma_stream *stream = &filler->stream;
	stream->next_in = filler->plain + filler->pos;
	stream->avail_in = len;
	stream->next_out = filler->data.bytes + filler->packed_len;
	stream->avail_out = filler->room - filler->packed_len;
	lzma_ret result = LZMA_OK;
	while (result == LZMA_OK)
		result = lzma_code(stream, LZMA_SYNC_FLUSH);
	filler->packed_len = filler->room - stream->avail_out;
	filler->pos += len;
	return result == LZMA_STREAM_END;
}

static bool encode_parts(struct filler *filler)
{
	for (size_t too_many; (too_many = excess(filler)) > 0;) {
		size_t left = filler->plain_len - filler->pos, part = too_many < PART_MIN ? PART_MIN : too_many;
		if (part >= left || !encode_part(filler, part))
			return false;
	}
	return true;
}

/* Returns the length of all data. */
static size_t append_raw(struct filler *filler)
{
	uint8_t *p = filler->data.bytes + filler->packed_len;
	for (size_t pos = filler->pos, len; pos < filler->plain_len; pos += len) {
		len = filler->plain_len - pos < RAW_PAYLOAD ? filler->plain_len - pos : RAW_PAYLOAD;
		p[0] = CHUNK_RAW;
		p[1] = (uint8_t)((len - 1) >> 8);
		p[2] = (uint8_t)(len - 1);
		memcpy(p + CHUNK_RAW_HEADER_LEN, filler->plain + pos, len);
		p += CHUNK_RAW_HEADER_LEN + len;
	}
	*p++ = CHUNK_END;
	return (size_t)(p - filler->data.bytes);
}

static enum blockz_status fill_by_chunks(struct filler *filler, bool *filled_ret, struct blockz_fault *fault)
{
	if (excess(filler) == 0)
		return BLOCKZ_OK; /* raw as a whole, it is too short still */
	if (!buffer_reserve(&filler->data, filler->room))
		return fault_nomem(fault);
	enum blockz_status status = decode_data(filler, fault);
	if (status != BLOCKZ_OK)
		return status;
	keep_chunks(filler);
	if (!start_encoder(filler))
		return fault_nomem(fault);
	if (!encode_parts(filler))
		return BLOCKZ_OK;
	return lay_out(filler, filler->data.bytes, append_raw(filler), filled_ret, fault);
}

/* ---- The row ---- */

static enum blockz_status fill_block(struct filler *filler, bool *filled_ret, struct blockz_fault *fault)
{
	const struct encoding *encoding = filler->encoding;
	filler->data_off = filler->block.block.header_size;
	filler->data_len = (size_t)filler->block.block.compressed_size;
	filler->plain_len = (size_t)filler->block.block.uncompressed_size;
	filler->check_len = encoding->len - filler->data_off - filler->data_len - (size_t)encoding->tag;
	filler->room = filler->len - filler->data_off - filler->check_len;
	enum blockz_status status = lay_out(filler, encoding->out.bytes + filler->data_off, filler->data_len, filled_ret, fault);
	return status == BLOCKZ_OK && !*filled_ret ? fill_by_chunks(filler, filled_ret, fault) : status;
}

enum blockz_status xz_fill(struct encoding *encoding, size_t len, bool *filled_ret, struct blockz_fault *fault)
{
	struct filler filler = { .encoding = encoding, .len = len, .stream = LZMA_STREAM_INIT };
	bool filled = false;
	if (len <= encoding->len || len % ALIGNMENT != 0 || lzma_lzma_preset(&filler.options, PRESET)) {
		*filled_ret = len == encoding->len;
		return BLOCKZ_OK;
	}
	enum blockz_status status = xz_block_parse(encoding->out.bytes, encoding->len, CHECK_NONE, BLOCKZ_UNKNOWN,
						    &filler.block, fault);
	if (status != BLOCKZ_OK)
		return status;
	status = fill_block(&filler, &filled, fault);
	lzma_end(&filler.stream);
	xz_block_free(&filler.block);
	buffer_free(&filler.data);
	free(filler.plain);
	if (status == BLOCKZ_OK)
		*filled_ret = filled;
	return status;
}
