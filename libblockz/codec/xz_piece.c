/* SPDX-License-Identifier: BSD-3-Clause */
/* The encoder makes a Block in blockz's way; its header is then laid out again as another program would have it. */
#include "codec/xz_piece.h"

#include <assert.h>
#include <string.h>

#include "base/checked.h"
#include "codec/codec_faults.h"
#include "codec/format_piece.h"
#include "codec/lzma.h"
#include "format/formats.h"
#include "format/xz/block.h"
#include "format/xz/coding.h"
#include "format/xz/encode.h"
#include "io/access.h"

enum {
	LEVEL_MAX = 9,
	LEVEL_LIKELIEST = 6, /* that of xz(1) and of blockz */
	HEADERS_MAX = 4,
};

static const char *const value_names[] = { "level", "extreme", "check", "size", "header", NULL };

static bool is_header(uint32_t value)
{
	return value <= XZ_HEADER_BARE || (value % 4 == 0 && value >= LZMA_BLOCK_HEADER_SIZE_MIN && value <= BLOCK_HEADER_LEN_MAX);
}

static bool are_valid(const uint32_t *values)
{
	return values[XZ_PIECE_LEVEL] <= LEVEL_MAX && values[XZ_PIECE_EXTREME] <= 1 && values[XZ_PIECE_CHECK] <= CHECK_SHA256 &&
	       values[XZ_PIECE_SIZE] >= XZ_PIECE_SIZE_MIN && values[XZ_PIECE_SIZE] <= XZ_PIECE_SIZE_MAX &&
	       is_header(values[XZ_PIECE_HEADER]);
}

static void *context_new(const struct codec_env *env)
{
	(void)env;
	return format_piece_new(&format_xz);
}

static bool has_sizes(const struct xz_block *block)
{
	return block->block.compressed_size != LZMA_VLI_UNKNOWN && block->block.uncompressed_size != LZMA_VLI_UNKNOWN;
}

/* How the header of a Block was laid out; that of one of blockz's length is XZ_HEADER_OWN. */
static uint32_t header_value(const struct xz_block *block)
{
	if (!has_sizes(block))
		return XZ_HEADER_BARE;
	uint32_t len = block->block.header_size;
	return len == xz_header_len(block->block.uncompressed_size) ? XZ_HEADER_OWN : len;
}

/* ---- Encoding ---- */

/* False: it has no room for both sizes. */
static bool layout_header(struct xz_block *block, uint32_t header)
{
	if (header == XZ_HEADER_BARE)
		block->block.compressed_size = block->block.uncompressed_size = LZMA_VLI_UNKNOWN;
	if (lzma_block_header_size(&block->block) != LZMA_OK)
		return false;
	if (header == XZ_HEADER_BARE)
		return true;
	bool fits = block->block.header_size <= header;
	block->block.header_size = header;
	return fits;
}

/* Gives a Block another header; there is room for it.  *len_ret 0: it cannot have such a one. */
static enum blockz_status change_header(uint8_t *bytes, uint32_t header, size_t *len_ret, struct blockz_fault *fault)
{
	struct xz_block block;
	enum blockz_status status = xz_block_parse(bytes, *len_ret, CHECK_NONE, 0, &block, fault);
	if (status != BLOCKZ_OK)
		return status;
	size_t before = block.block.header_size, rest = *len_ret - before;
	*len_ret = 0;
	if (layout_header(&block, header)) {
		memmove(bytes + block.block.header_size, bytes + before, rest);
		lzma_ret result = lzma_block_header_encode(&block.block, bytes);
		if (result != LZMA_OK)
			status = encoder_failed(codec_xz_piece.name, (int)result, fault);
		*len_ret = block.block.header_size + rest;
	}
	xz_block_free(&block);
	return status;
}

static struct pack_params params_of(const uint32_t *values)
{
	return (struct pack_params){
		.level = (int)values[XZ_PIECE_LEVEL], .extreme = values[XZ_PIECE_EXTREME] != 0,
		.check = values[XZ_PIECE_CHECK], .piece_size = values[XZ_PIECE_SIZE],
	};
}

/* Presets differ in their dictionaries alone, some of them, which a piece bounds. */
static bool are_same(const uint32_t *a, const uint32_t *b)
{
	const struct pack_params of_a = params_of(a), of_b = params_of(b);
	lzma_options_lzma for_a = { .dict_size = 0 }, for_b = for_a;
	return a[XZ_PIECE_CHECK] == b[XZ_PIECE_CHECK] && a[XZ_PIECE_HEADER] == b[XZ_PIECE_HEADER] &&
	       xz_coding_options(&of_a, &for_a) && xz_coding_options(&of_b, &for_b) && lzma_options_are_same(&for_a, &for_b);
}

static uint64_t encoder_memory(const uint32_t *values, uint32_t plain_len)
{
	struct pack_params params = params_of(values);
	params.piece_size = plain_len > XZ_PIECE_SIZE_MIN ? plain_len : XZ_PIECE_SIZE_MIN;
	return format_xz.encoder_memory(&params);
}

static enum blockz_status encode_block(void *context, const uint32_t *values, const uint8_t *plain, size_t plain_len,
				       struct buffer *out, size_t *len_ret, struct blockz_fault *fault)
{
	const struct pack_params params = params_of(values);
	const struct plain_piece piece = { .bytes = plain, .len = plain_len };
	/* Room that the format's encoder has no use for, and leaves as it is. */
	if (!buffer_reserve(out, plain_len + plain_len / 256 + 4 * BLOCK_HEADER_LEN_MAX))
		return fault_nomem(fault);
	enum blockz_status status = format_piece_encode(context, values, &params, &piece, out, len_ret, fault);
	if (status != BLOCKZ_OK || values[XZ_PIECE_HEADER] == XZ_HEADER_OWN)
		return status;
	assert(out->room >= *len_ret + BLOCK_HEADER_LEN_MAX);
	return change_header(out->bytes, values[XZ_PIECE_HEADER], len_ret, fault);
}

/* ---- Decoding ---- */

/* Where LZMA2 chunks end that begin at pos; 0: not within len. */
static size_t chunks_end(const uint8_t *bytes, size_t len, size_t pos)
{
	while (pos < len && bytes[pos] != CHUNK_END) {
		size_t header = bytes[pos] < CHUNK_LZMA ? CHUNK_RAW_HEADER_LEN : CHUNK_LZMA_HEADER_LEN;
		if (header > len - pos)
			return 0;
		const uint8_t *size = bytes + pos + header - 2;
		pos += header + ((size_t)size[0] << 8 | size[1]) + 1 + (bytes[pos] >= CHUNK_LZMA_PROPS);
	}
	return pos < len ? pos + CHUNK_END_LEN : 0;
}

/* A Block does not say of which kind its Check is, but its length does: it is what stands behind the padding. */
static enum blockz_status find_check(const uint8_t *bytes, size_t len, struct encoded_piece *encoded,
				     struct blockz_fault *fault)
{
	struct xz_block block;
	enum blockz_status status = xz_block_parse(bytes, len, CHECK_NONE, 0, &block, fault);
	if (status == BLOCKZ_FAILED)
		return status;
	if (status != BLOCKZ_OK)
		return block_damaged(codec_xz_piece.name, fault);
	uint64_t packed = block.block.compressed_size, header = block.block.header_size;
	xz_block_free(&block);
	if (packed == LZMA_VLI_UNKNOWN) {
		size_t end = chunks_end(bytes, len, (size_t)header);
		if (end == 0)
			return block_damaged(codec_xz_piece.name, fault);
		packed = end - header;
	}
	if (packed > len - header || packed + (encoded->padding = -packed & 3) > len - header)
		return block_damaged(codec_xz_piece.name, fault);
	size_t field = (size_t)(len - header - packed - encoded->padding);
	for (encoded->method = CHECK_NONE; encoded->method <= CHECK_SHA256; encoded->method++)
		if (check_methods[encoded->method].len == field)
			return BLOCKZ_OK;
	return block_damaged(codec_xz_piece.name, fault);
}

static enum blockz_status decode_block(void *context, const uint8_t *bytes, size_t len, uint8_t *out, size_t out_len,
				       struct blockz_fault *fault)
{
	struct encoded_piece encoded = { .bytes = bytes, .len = len };
	enum blockz_status status = find_check(bytes, len, &encoded, fault);
	return status == BLOCKZ_OK ? format_piece_decode(context, &encoded, out, out_len, fault) : status;
}

/* As it stands in a Block Header, which rounds it up a little. */
static uint8_t coded_dict(uint32_t dict)
{
	uint8_t coded = UINT8_MAX;
	lzma_options_lzma options = { .dict_size = dict };
	const lzma_filter filter = { LZMA_FILTER_LZMA2, &options };
	return lzma_properties_encode(&filter, &coded) == LZMA_OK ? coded : UINT8_MAX;
}

static bool has_header(const struct xz_block *block, uint32_t header)
{
	return header <= XZ_HEADER_BARE ? header_value(block) == header
					: has_sizes(block) && block->block.header_size == header;
}

/* The Block Header has the size of the dictionary, which levels choose, up to a piece's. */
static bool may_make(const uint32_t *values, const uint8_t *bytes, size_t len)
{
	struct xz_block block;
	lzma_options_lzma expected;
	if (lzma_lzma_preset(&expected, values[XZ_PIECE_LEVEL]))
		return false;
	enum blockz_status status = xz_block_parse(bytes, len, CHECK_NONE, 0, &block, NULL);
	if (status != BLOCKZ_OK)
		return status == BLOCKZ_FAILED;
	uint32_t wanted = expected.dict_size < values[XZ_PIECE_SIZE] ? expected.dict_size : values[XZ_PIECE_SIZE];
	const lzma_options_lzma *options = block.filters[0].options;
	bool may = block.lzma2_only && coded_dict(options->dict_size) == coded_dict(wanted) &&
		   has_header(&block, values[XZ_PIECE_HEADER]);
	xz_block_free(&block);
	return may;
}

/* ---- What Blocks may have been made with ---- */

/* How the headers of Blocks were laid out, as far as they are blocks. */
struct headers {
	uint32_t layouts[HEADERS_MAX];
	size_t count;
	uint32_t len;  /* of the first */
	bool are_long; /* all are as long as that */
};

static void add_layout(struct headers *headers, uint32_t layout)
{
	size_t i = 0;
	while (i < headers->count && headers->layouts[i] != layout)
		i++;
	if (i == headers->count && i < HEADERS_MAX)
		headers->layouts[headers->count++] = layout;
}

/* Of headers of one length, that length says it all, whatever length those of blockz would have had. */
static void unite_layouts(struct headers *headers)
{
	bool is_own = headers->count == 1 && headers->layouts[0] == XZ_HEADER_OWN;
	for (size_t i = 0; i < headers->count; i++)
		is_own = is_own || headers->layouts[i] == XZ_HEADER_BARE;
	if (is_own || !headers->are_long)
		return;
	headers->count = 1;
	headers->layouts[0] = headers->len;
}

static enum blockz_status read_headers(const struct blockz_source *file, const struct blocks *blocks,
				       struct headers *headers, struct blockz_fault *fault)
{
	uint8_t bytes[BLOCK_HEADER_LEN_MAX];
	enum blockz_status status = BLOCKZ_OK;
	*headers = (struct headers){ .are_long = true };
	for (size_t i = 0; i < blocks->count && status == BLOCKZ_OK; i++) {
		struct xz_block block;
		size_t len = (size_t)min(sizeof(bytes), blocks->items[i].file_len);
		status = read_file(file, bytes, len, blocks->items[i].file_off, fault);
		if (status == BLOCKZ_OK)
			status = xz_block_parse(bytes, len, CHECK_NONE, blocks->items[i].file_off, &block, fault);
		if (status != BLOCKZ_OK)
			break;
		headers->len = i == 0 ? block.block.header_size : headers->len;
		headers->are_long = headers->are_long && block.block.header_size == headers->len;
		add_layout(headers, header_value(&block));
		xz_block_free(&block);
	}
	unite_layouts(headers);
	return status;
}

/* The size of pieces bounds the dictionary: that of the longest is it, unless another program did not care. */
static bool suggest_sizes(struct blocks *blocks, struct codec_params params, uint64_t longest)
{
	params.values[XZ_PIECE_SIZE] = (uint32_t)min(longest, XZ_PIECE_SIZE_MAX);
	if (!format_piece_suggest_levels(blocks, params, XZ_PIECE_LEVEL, LEVEL_LIKELIEST, 0, LEVEL_MAX))
		return false;
	params.values[XZ_PIECE_SIZE] = XZ_PIECE_SIZE_MAX;
	return longest >= XZ_PIECE_SIZE_MAX ||
	       format_piece_suggest_levels(blocks, params, XZ_PIECE_LEVEL, LEVEL_LIKELIEST, 0, LEVEL_MAX);
}

static enum blockz_status suggest_headers(const struct blockz_source *file, const struct blockz_map *map,
					  struct blocks *blocks, struct blockz_fault *fault)
{
	struct codec_params params = { .codec = CODEC_XZ_PIECE };
	struct headers headers;
	uint64_t longest = XZ_PIECE_SIZE_MIN;
	enum blockz_status status = read_headers(file, blocks, &headers, fault);
	for (size_t i = 0; i < map->piece_count; i++)
		if (map->pieces[i].kind == BLOCKZ_COMPRESSED && map_piece_end(map, i) - map->pieces[i].start > longest)
			longest = map_piece_end(map, i) - map->pieces[i].start;
	params.values[XZ_PIECE_CHECK] = map->piece_count > 0 ? map->pieces[0].method : CHECK_NONE;
	for (size_t i = 0; i < 2 * headers.count && status == BLOCKZ_OK; i++) {
		params.values[XZ_PIECE_EXTREME] = i >= headers.count;
		params.values[XZ_PIECE_HEADER] = headers.layouts[i % headers.count];
		if (!suggest_sizes(blocks, params, longest))
			status = fault_nomem(fault);
	}
	return status;
}

const struct codec codec_xz_piece = {
	.name = "xz-piece",
	.value_names = value_names,
	.free_values = 1u << XZ_PIECE_CHECK | 1u << XZ_PIECE_SIZE | 1u << XZ_PIECE_HEADER,
	.probe_values = { [XZ_PIECE_CHECK] = CHECK_CRC64, [XZ_PIECE_SIZE] = 1 << 20 },
	.max_values = { [XZ_PIECE_LEVEL] = LEVEL_MAX, [XZ_PIECE_EXTREME] = 1 },
	.probe_lens = { 8 << 10, 128 << 10 },
	.are_same = are_same,
	.are_valid = are_valid,
	.may_make = may_make,
	.encoder_memory = encoder_memory,
	.format = &format_xz,
	.suggest = suggest_headers,
	.context_new = context_new,
	.context_free = format_piece_free,
	.encode = encode_block,
	.decode = decode_block,
};
