/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * SquashFS lzma and xz, both by liblzma.
 *
 * lzma: lzma_alone_encoder(), which ends the stream by a mark and says in the header that the size is unknown; mksquashfs
 * and gensquashfs put the size there afterwards.
 *
 * xz: lzma_stream_buffer_encode() with CRC32.  Where BCJ filters were asked for, the smallest result is kept: each filter,
 * and none, is a set of parameters of its own.
 */
#include <lzma.h>
#include <stdlib.h>
#include <string.h>

#include "codec/lzma.h"
#include "base/bytes.h"
#include "codec/codec_faults.h"
#include "codec/lzma_allocator.h"
#include "format/xz/layout.h"

enum {
	DICT_MIN = 4096,
	DICT_MAX = 1 << 20,      /* the largest block of SquashFS */
	DECODER_MEMORY = 64 << 20, /* what gensquashfs's reader allows for lzma; for xz it and mksquashfs allow half of it */
	ALONE_SIZE_OFF = 5,      /* properties u8, dictionary u32, size u64 */
	ALONE_HEADER_LEN = 13,
};

/* By their numbers, some of which are newer than some liblzma that does without them. */
static const lzma_vli bcj_filters[BCJ_COUNT] = {
	[BCJ_NONE] = LZMA_VLI_UNKNOWN, [BCJ_X86] = 4, [BCJ_POWERPC] = 5, [BCJ_IA64] = 6, [BCJ_ARM] = 7,
	[BCJ_ARMTHUMB] = 8, [BCJ_SPARC] = 9, [BCJ_ARM64] = 10, [BCJ_RISCV] = 11,
};

static const char *const lzma_value_names[] = { "level", "extreme", "lc", "lp", "pb", "dict", NULL };
static const char *const xz_value_names[] = { "level", "extreme", "lc", "lp", "pb", "dict", "bcj", NULL };

static bool are_valid(const uint32_t *values)
{
	return values[LZMA_LEVEL] <= 9 && values[LZMA_EXTREME] <= 1 && values[LZMA_LC] <= LZMA_LCLP_MAX &&
	       values[LZMA_LP] <= LZMA_LCLP_MAX && values[LZMA_LC] + values[LZMA_LP] <= LZMA_LCLP_MAX &&
	       values[LZMA_PB] <= LZMA_PB_MAX && values[LZMA_DICT] >= DICT_MIN && values[LZMA_DICT] <= DICT_MAX &&
	       values[LZMA_BCJ] < BCJ_COUNT;
}

/* A stream keeps its memory while it does one kind of work. */
struct lzma_context {
	lzma_stream encoder; /* of .lzma */
	lzma_stream decoder;
	struct lzma_allocator_memory memory; /* of the encoder of xz, which has no stream */
};

static void *context_new(const struct codec_env *env)
{
	(void)env;
	struct lzma_context *context = malloc(sizeof(*context));
	if (context == NULL)
		return NULL;
	context->encoder = context->decoder = (lzma_stream)LZMA_STREAM_INIT;
	lzma_allocator_init(&context->memory);
	return context;
}

static void context_free(void *memory)
{
	struct lzma_context *context = memory;
	lzma_end(&context->encoder);
	lzma_end(&context->decoder);
	lzma_allocator_free(&context->memory);
	free(context);
}

static bool choose_options(const uint32_t *values, lzma_options_lzma *options)
{
	if (lzma_lzma_preset(options, values[LZMA_LEVEL] | (values[LZMA_EXTREME] != 0 ? LZMA_PRESET_EXTREME : 0)))
		return false;
	options->dict_size = values[LZMA_DICT];
	options->lc = values[LZMA_LC];
	options->lp = values[LZMA_LP];
	options->pb = values[LZMA_PB];
	return true;
}

bool lzma_options_are_same(const lzma_options_lzma *a, const lzma_options_lzma *b)
{
	return a->dict_size == b->dict_size && a->lc == b->lc && a->lp == b->lp && a->pb == b->pb && a->mode == b->mode &&
	       a->nice_len == b->nice_len && a->mf == b->mf && a->depth == b->depth;
}

/* Presets differ in their dictionaries alone, some of them. */
static bool are_same(const uint32_t *a, const uint32_t *b)
{
	lzma_options_lzma of_a = { .dict_size = 0 }, of_b = of_a;
	return a[LZMA_BCJ] == b[LZMA_BCJ] && choose_options(a, &of_a) && choose_options(b, &of_b) && lzma_options_are_same(&of_a, &of_b);
}

/* Where the byte stands that holds lc, lp and pb; 0 for .lzma, len: nowhere. */
static size_t find_properties(unsigned codec, const uint8_t *bytes, size_t len)
{
	if (codec == CODEC_LZMA)
		return 0;
	if (len <= STREAM_HEADER_LEN)
		return len;
	size_t chunk = STREAM_HEADER_LEN + lzma_block_header_size_decode(bytes[STREAM_HEADER_LEN]);
	return chunk < len && bytes[chunk] >= CHUNK_LZMA_RESET ? chunk + CHUNK_LZMA_HEADER_LEN : len;
}

bool lzma_block_properties(unsigned codec, const uint8_t *bytes, size_t len, uint32_t values[CODEC_VALUES_MAX])
{
	size_t at = find_properties(codec, bytes, len);
	if (at >= len || bytes[at] >= 9 * 5 * 5)
		return false;
	values[LZMA_LC] = bytes[at] % 9;
	values[LZMA_LP] = bytes[at] / 9 % 5;
	values[LZMA_PB] = bytes[at] / 9 / 5;
	return true;
}

static enum blockz_status judge_decoding(const struct codec *codec, lzma_ret result, bool good, struct blockz_fault *fault)
{
	if (result == LZMA_MEM_ERROR)
		return fault_nomem(fault);
	if (result == LZMA_MEMLIMIT_ERROR)
		return fault_set(fault, BLOCKZ_LIMIT, BLOCKZ_UNKNOWN, "a block (%s) needs too much memory", codec->name);
	return good ? BLOCKZ_OK : block_damaged(codec->name, fault);
}

static uint64_t encoder_memory(const uint32_t *values, uint32_t plain_len)
{
	lzma_options_lzma options;
	const lzma_filter filters[] = { { LZMA_FILTER_LZMA2, &options }, { LZMA_VLI_UNKNOWN, NULL } };
	uint64_t blocks = 3 * (uint64_t)plain_len;
	return choose_options(values, &options) ? blocks + lzma_raw_encoder_memusage(filters) : blocks;
}

/* ---- lzma ---- */

static bool alone_may_make(const uint32_t *values, const uint8_t *bytes, size_t len)
{
	return len >= ALONE_HEADER_LEN &&
	       bytes[0] == (values[LZMA_PB] * 5 + values[LZMA_LP]) * 9 + values[LZMA_LC] &&
	       load_le32(bytes + 1) >= values[LZMA_DICT] && load_le32(bytes + 1) / 2 < values[LZMA_DICT];
}

static enum blockz_status alone_encode(void *memory, const uint32_t *values, const uint8_t *plain, size_t plain_len,
				       struct buffer *out, size_t *len_ret, struct blockz_fault *fault)
{
	lzma_stream *stream = &((struct lzma_context *)memory)->encoder;
	lzma_options_lzma options;
	if (!buffer_reserve(out, plain_len < ALONE_HEADER_LEN ? ALONE_HEADER_LEN : plain_len))
		return fault_nomem(fault);
	lzma_ret result = choose_options(values, &options) ? lzma_alone_encoder(stream, &options) : LZMA_OPTIONS_ERROR;
	if (result == LZMA_MEM_ERROR)
		return fault_nomem(fault);
	if (result != LZMA_OK)
		return encoder_failed(codec_lzma.name, (int)result, fault);
	stream->next_in = plain;
	stream->avail_in = plain_len;
	stream->next_out = out->bytes;
	stream->avail_out = plain_len;
	result = lzma_code(stream, LZMA_FINISH);
	if (result != LZMA_STREAM_END && result != LZMA_OK)
		return encoder_failed(codec_lzma.name, (int)result, fault);
	store_le64(out->bytes + ALONE_SIZE_OFF, plain_len);
	*len_ret = result == LZMA_STREAM_END ? plain_len - stream->avail_out : 0;
	return BLOCKZ_OK;
}

/*
 * Before 5.2.6 liblzma refused the mark where the size is known: it is told that it is not.  There may be no mark: then all
 * input is used up as the last byte comes out.
 */
static enum blockz_status alone_decode(void *memory, const uint8_t *bytes, size_t len, uint8_t *out, size_t out_len,
				       struct blockz_fault *fault)
{
	lzma_stream *stream = &((struct lzma_context *)memory)->decoder;
	if (len < ALONE_HEADER_LEN || load_le64(bytes + ALONE_SIZE_OFF) != out_len)
		return block_damaged(codec_lzma.name, fault);
	uint8_t header[ALONE_HEADER_LEN];
	memcpy(header, bytes, sizeof(header));
	memset(header + ALONE_SIZE_OFF, 0xff, sizeof(header) - ALONE_SIZE_OFF);
	lzma_ret result = lzma_alone_decoder(stream, DECODER_MEMORY);
	if (result == LZMA_OK) {
		stream->next_in = header;
		stream->avail_in = sizeof(header);
		stream->next_out = out;
		stream->avail_out = out_len + 1;
		result = lzma_code(stream, LZMA_RUN);
	}
	if (result == LZMA_OK) {
		stream->next_in = bytes + ALONE_HEADER_LEN;
		stream->avail_in = len - ALONE_HEADER_LEN;
		result = lzma_code(stream, LZMA_FINISH);
	}
	bool whole = result == LZMA_STREAM_END || result == LZMA_OK || result == LZMA_BUF_ERROR;
	return judge_decoding(&codec_lzma, result, whole && stream->avail_in == 0 && stream->avail_out == 1, fault);
}

const struct codec codec_lzma = {
	.name = "lzma",
	.value_names = lzma_value_names,
	.free_values = 1u << LZMA_LC | 1u << LZMA_LP | 1u << LZMA_PB | 1u << LZMA_DICT,
	.probe_values = { [LZMA_LC] = 3, [LZMA_PB] = 2, [LZMA_DICT] = 128 << 10 },
	.max_values = { [LZMA_LEVEL] = 9, [LZMA_EXTREME] = 1 },
	.probe_lens = { 8 << 10, 128 << 10 },
	.are_same = are_same,
	.are_valid = are_valid,
	.may_make = alone_may_make,
	.encoder_memory = encoder_memory,
	.context_new = context_new,
	.context_free = context_free,
	.encode = alone_encode,
	.decode = alone_decode,
};

/* ---- xz ---- */

static bool has_properties(const uint32_t *values, const uint8_t *bytes, size_t len)
{
	uint32_t found[CODEC_VALUES_MAX];
	return !lzma_block_properties(CODEC_XZ, bytes, len, found) ||
	       memcmp(found + LZMA_LC, values + LZMA_LC, (LZMA_PB - LZMA_LC + 1) * sizeof(*values)) == 0;
}

/* The Block Header says which filters there are, and the dictionary; the first chunk, which properties. */
static bool xz_may_make(const uint32_t *values, const uint8_t *bytes, size_t len)
{
	lzma_filter filters[LZMA_FILTERS_MAX + 1];
	lzma_block block = { .check = LZMA_CHECK_CRC32, .filters = filters };
	if (len <= STREAM_HEADER_LEN || bytes[STREAM_HEADER_LEN] == INDEX_INDICATOR || !has_properties(values, bytes, len))
		return false;
	block.header_size = lzma_block_header_size_decode(bytes[STREAM_HEADER_LEN]);
	if (block.header_size > len - STREAM_HEADER_LEN)
		return false;
	lzma_ret result = lzma_block_header_decode(&block, NULL, bytes + STREAM_HEADER_LEN);
	if (result != LZMA_OK)
		return result == LZMA_MEM_ERROR;
	bool bcj = values[LZMA_BCJ] != BCJ_NONE;
	bool may = !bcj || filters[0].id == bcj_filters[values[LZMA_BCJ]];
	const lzma_filter *last = &filters[bcj ? 1 : 0];
	may = may && last->id == LZMA_FILTER_LZMA2 &&
	      ((const lzma_options_lzma *)last->options)->dict_size >= values[LZMA_DICT] &&
	      ((const lzma_options_lzma *)last->options)->dict_size / 2 < values[LZMA_DICT];
	for (size_t i = 0; filters[i].id != LZMA_VLI_UNKNOWN; i++)
		free(filters[i].options);
	return may;
}

static enum blockz_status xz_encode(void *memory, const uint32_t *values, const uint8_t *plain, size_t plain_len,
				    struct buffer *out, size_t *len_ret, struct blockz_fault *fault)
{
	struct lzma_context *context = memory;
	lzma_options_lzma options;
	lzma_filter filters[3] = { { bcj_filters[values[LZMA_BCJ]], NULL } };
	size_t i = values[LZMA_BCJ] != BCJ_NONE, len = 0;
	filters[i] = (lzma_filter){ LZMA_FILTER_LZMA2, &options };
	filters[i + 1] = (lzma_filter){ LZMA_VLI_UNKNOWN, NULL };
	if (i > 0 && !lzma_filter_encoder_is_supported(filters[0].id))
		return fault_set(fault, BLOCKZ_UNSUPPORTED, BLOCKZ_UNKNOWN, "this liblzma lacks a BCJ filter");
	if (!buffer_reserve(out, plain_len))
		return fault_nomem(fault);
	lzma_ret result = choose_options(values, &options)
				  ? lzma_stream_buffer_encode(filters, LZMA_CHECK_CRC32, &context->memory.allocator, plain, plain_len,
							      out->bytes, &len, plain_len)
				  : LZMA_OPTIONS_ERROR;
	if (result == LZMA_MEM_ERROR)
		return fault_nomem(fault);
	if (result != LZMA_OK && result != LZMA_BUF_ERROR)
		return encoder_failed(codec_xz.name, (int)result, fault);
	*len_ret = result == LZMA_OK ? len : 0;
	return BLOCKZ_OK;
}

static enum blockz_status xz_decode(void *memory, const uint8_t *bytes, size_t len, uint8_t *out, size_t out_len,
				    struct blockz_fault *fault)
{
	lzma_stream *stream = &((struct lzma_context *)memory)->decoder;
	lzma_ret result = lzma_stream_decoder(stream, DECODER_MEMORY, 0);
	if (result == LZMA_OK) {
		stream->next_in = bytes;
		stream->avail_in = len;
		stream->next_out = out;
		stream->avail_out = out_len;
		result = lzma_code(stream, LZMA_FINISH);
	}
	bool whole = result == LZMA_STREAM_END && stream->avail_in == 0 && stream->avail_out == 0;
	return judge_decoding(&codec_xz, result, whole, fault);
}

const struct codec codec_xz = {
	.name = "xz",
	.value_names = xz_value_names,
	.free_values = 1u << LZMA_LC | 1u << LZMA_LP | 1u << LZMA_PB | 1u << LZMA_DICT,
	.probe_values = { [LZMA_LC] = 3, [LZMA_PB] = 2, [LZMA_DICT] = 128 << 10 },
	.max_values = { [LZMA_LEVEL] = 9, [LZMA_EXTREME] = 1, [LZMA_BCJ] = BCJ_COUNT - 1 },
	.probe_lens = { 8 << 10, 128 << 10 },
	.are_same = are_same,
	.are_valid = are_valid,
	.may_make = xz_may_make,
	.encoder_memory = encoder_memory,
	.context_new = context_new,
	.context_free = context_free,
	.encode = xz_encode,
	.decode = xz_decode,
};
