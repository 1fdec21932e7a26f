/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What mksquashfs and gensquashfs may have been asked for.  Where that differs from their defaults, it stands behind the
 * superblock, as far as a reader has to know it: of gensquashfs's xz and lzma levels nothing tells, and of lc, lp and pb
 * its blocks do.
 */
#include <inttypes.h>

#include "base/bytes.h"
#include "base/fault.h"
#include "codec/lzma.h"
#include "container/squashfs.h"
#include "io/access.h"

enum {
	OPTIONS_LEN_MAX = 8,
	GZIP_LEVEL_DEFAULT = 9,
	GZIP_WINDOW_DEFAULT = 15,
	GZIP_STRATEGIES = 5,
	XZ_LEVEL_DEFAULT = 6,
	LZMA_LEVEL_DEFAULT = 5,
	LZMA_LEVELS = 10,
	PROPERTIES_SAMPLE = 16, /* blocks that are looked at, for: */
	PROPERTIES_MAX = 3,     /* with all levels and filters about 160 candidates */
	ZSTD_LEVEL_DEFAULT = 15,
	LZO_999 = 4, /* lzo1x_999, the only algorithm that has levels */
	LZO_LEVEL_DEFAULT = 8,
	LZ4_HC_FLAG = 1 << 0,
	LZ4_HC_LEVEL = 12,
};

struct options {
	uint8_t bytes[OPTIONS_LEN_MAX];
	size_t len; /* 0: there are none */
};

/* They are a metadata block, never compressed. */
static enum blockz_status read_options(const struct blockz_source *file, const struct super *super,
				       struct options *options, struct blockz_fault *fault)
{
	uint8_t header[META_HEADER_LEN];
	*options = (struct options){ .len = 0 };
	if ((super->flags & SQUASHFS_OPTIONS) == 0)
		return BLOCKZ_OK;
	enum blockz_status status = read_file(file, header, sizeof(header), SUPER_LEN, fault);
	if (status != BLOCKZ_OK)
		return status;
	unsigned len = load_le16(header) & (META_STORED - 1u);
	if ((load_le16(header) & META_STORED) == 0 || len == 0 || len > OPTIONS_LEN_MAX)
		return fault_set(fault, BLOCKZ_DAMAGED, SUPER_LEN, "compressor options of %u bytes, expected 1 to %d", len,
				 OPTIONS_LEN_MAX);
	options->len = len;
	return read_file(file, options->bytes, len, SUPER_LEN + META_HEADER_LEN, fault);
}

/* The index-th field of four bytes. */
static uint32_t option(const struct options *options, size_t index, uint32_t otherwise)
{
	return options->len >= 4 * index + 4 ? load_le32(options->bytes + 4 * index) : otherwise;
}

/* False: no memory.  What no encoder can have been asked for is left out. */
static bool suggest(struct blocks *blocks, struct codec_params params)
{
	if (!codec_params_are_valid(&params))
		return true;
	for (size_t i = 0; i < blocks->candidate_count; i++)
		if (codec_params_are_equal(&blocks->candidates[i], &params))
			return true;
	return blocks_suggest(blocks, &params);
}

/* Level u32, window u16, strategies u16.  Metadata is compressed by the default strategy alone. */
static bool suggest_zlib(const struct options *options, struct blocks *blocks)
{
	struct codec_params params = { .codec = CODEC_ZLIB };
	uint32_t second = option(options, 1, GZIP_WINDOW_DEFAULT | 1 << 16), strategies = second >> 16;
	params.values[ZLIB_LEVEL] = option(options, 0, GZIP_LEVEL_DEFAULT);
	params.values[ZLIB_WINDOW] = second & 0xffff;
	bool ok = suggest(blocks, params);
	for (uint32_t i = 1; i < GZIP_STRATEGIES && ok; i++) {
		params.values[ZLIB_STRATEGY] = i;
		if ((strategies >> i & 1) != 0)
			ok = suggest(blocks, params);
	}
	return ok;
}

/* A dictionary is as large as a block, or as the largest metadata block. */
static bool suggest_lzma_dicts(struct blocks *blocks, struct codec_params params, uint32_t dict)
{
	params.values[LZMA_DICT] = dict;
	if (!suggest(blocks, params))
		return false;
	params.values[LZMA_DICT] = META_LEN_MAX;
	return suggest(blocks, params);
}

/* Levels that nothing tells, each as it is and extreme. */
static bool suggest_lzma_levels(struct blocks *blocks, struct codec_params params)
{
	for (uint32_t i = 0; i < 2 * LZMA_LEVELS; i++) {
		params.values[LZMA_LEVEL] = i / 2;
		params.values[LZMA_EXTREME] = i % 2;
		if (!suggest(blocks, params))
			return false;
	}
	return true;
}

/* lc, lp and pb: those that all had for long, and others of which blocks are. */
struct properties {
	struct codec_params items[PROPERTIES_MAX]; /* other values are 0 */
	size_t count;
};

static void add_properties(struct properties *properties, const struct codec_params *params)
{
	for (size_t i = 0; i < properties->count; i++)
		if (codec_params_are_equal(&properties->items[i], params))
			return;
	if (properties->count < PROPERTIES_MAX)
		properties->items[properties->count++] = *params;
}

/* gensquashfs's user chooses them: they are the same throughout, but for blocks that do not show them. */
static enum blockz_status find_properties(const struct blockz_source *file, enum codec_id codec,
					  const struct blocks *blocks, struct properties *properties,
					  struct blockz_fault *fault)
{
	uint8_t head[LZMA_BLOCK_HEAD_LEN];
	struct codec_params params = { .codec = (uint8_t)codec, .values = { [LZMA_LC] = 3, [LZMA_PB] = 2 } };
	*properties = (struct properties){ .count = 0 };
	add_properties(properties, &params);
	for (size_t i = 0, seen = 0; i < blocks->count && seen < PROPERTIES_SAMPLE; i++) {
		const struct block *block = &blocks->items[i];
		size_t len = block->file_len < sizeof(head) ? block->file_len : sizeof(head);
		if (block->codec != codec)
			continue;
		enum blockz_status status = read_file(file, head, len, block->file_off, fault);
		if (status != BLOCKZ_OK)
			return status;
		if (lzma_block_properties(codec, head, len, params.values))
			add_properties(properties, &params);
		seen++;
	}
	return BLOCKZ_OK;
}

static bool suggest_lzma(struct codec_params params, uint32_t block_size, struct blocks *blocks)
{
	params.values[LZMA_LEVEL] = LZMA_LEVEL_DEFAULT;
	if (!suggest_lzma_dicts(blocks, params, block_size))
		return false;
	params.values[LZMA_DICT] = block_size;
	params.values[LZMA_EXTREME] = 1;
	return suggest(blocks, params) && suggest_lzma_levels(blocks, params);
}

/*
 * Each filter with the properties that all had for long, and with those that fit the alignment of its instructions, as
 * xz(1) recommends.
 */
static bool suggest_bcj(struct blocks *blocks, struct codec_params params, uint32_t flags)
{
	static const uint8_t aligned[BCJ_COUNT][3] = { /* lc, lp, pb */
		[BCJ_X86] = { 3, 0, 2 },      [BCJ_POWERPC] = { 2, 2, 2 }, [BCJ_IA64] = { 0, 4, 4 },  [BCJ_ARM] = { 2, 2, 2 },
		[BCJ_ARMTHUMB] = { 3, 1, 1 }, [BCJ_SPARC] = { 2, 2, 2 },   [BCJ_ARM64] = { 2, 2, 2 }, [BCJ_RISCV] = { 3, 1, 1 },
	};
	for (uint32_t bcj = BCJ_X86; bcj < BCJ_COUNT; bcj++) {
		struct codec_params filtered = params;
		if ((flags >> (bcj - 1) & 1) == 0)
			continue;
		filtered.values[LZMA_BCJ] = bcj;
		if (!suggest(blocks, filtered))
			return false;
		for (size_t i = 0; i < 3; i++)
			filtered.values[LZMA_LC + i] = aligned[bcj][i];
		if (!suggest(blocks, filtered))
			return false;
	}
	return true;
}

/*
 * Dictionary size u32, flags u32: a bit for each BCJ filter.  Where gensquashfs was asked for the extreme level, it tries
 * that beside the other, and does not say so.
 */
static bool suggest_xz(const struct options *options, struct codec_params params, uint32_t block_size,
		       struct blocks *blocks)
{
	uint32_t dict = option(options, 0, block_size), flags = option(options, 1, 0);
	params.values[LZMA_LEVEL] = XZ_LEVEL_DEFAULT;
	params.values[LZMA_DICT] = dict;
	if (!suggest_lzma_dicts(blocks, params, dict) || !suggest_bcj(blocks, params, flags))
		return false;
	params.values[LZMA_EXTREME] = 1;
	return suggest(blocks, params) && suggest_bcj(blocks, params, flags) && suggest_lzma_levels(blocks, params);
}

static bool suggest_zstd(const struct options *options, struct blocks *blocks)
{
	struct codec_params params = { .codec = CODEC_ZSTD };
	params.values[ZSTD_LEVEL] = option(options, 0, ZSTD_LEVEL_DEFAULT);
	return suggest(blocks, params);
}

/* Algorithm u32, level u32.  mksquashfs runs the optimiser over what lzo1x_999 makes, gensquashfs does not. */
static bool suggest_lzo(const struct options *options, struct blocks *blocks)
{
	struct codec_params params = { .codec = CODEC_LZO };
	bool levels = option(options, 0, LZO_999) == LZO_999;
	params.values[LZO_ALGORITHM] = option(options, 0, LZO_999);
	params.values[LZO_LEVEL] = levels ? option(options, 1, LZO_LEVEL_DEFAULT) : 0;
	params.values[LZO_OPTIMISE] = levels;
	if (!suggest(blocks, params))
		return false;
	params.values[LZO_OPTIMISE] = !levels;
	return suggest(blocks, params);
}

/* Version u32, flags u32. */
static bool suggest_lz4(const struct options *options, struct blocks *blocks)
{
	struct codec_params params = { .codec = CODEC_LZ4 };
	bool hc = (option(options, 1, 0) & LZ4_HC_FLAG) != 0;
	params.values[LZ4_LEVEL] = hc ? LZ4_HC_LEVEL : 0;
	if (!suggest(blocks, params))
		return false;
	params.values[LZ4_LEVEL] = hc ? 0 : LZ4_HC_LEVEL;
	return suggest(blocks, params);
}

static enum blockz_status suggest_by_properties(const struct blockz_source *file, const struct super *super,
						const struct options *options, struct blocks *blocks,
						struct blockz_fault *fault)
{
	struct properties properties;
	enum blockz_status status = find_properties(file, super->codec, blocks, &properties, fault);
	for (size_t i = 0; i < properties.count && status == BLOCKZ_OK; i++) {
		const struct codec_params *params = &properties.items[i];
		bool ok = super->codec == CODEC_XZ ? suggest_xz(options, *params, super->block_size, blocks)
						   : suggest_lzma(*params, super->block_size, blocks);
		if (!ok)
			status = fault_nomem(fault);
	}
	return status;
}

static bool suggest_all(const struct super *super, const struct options *options, struct blocks *blocks)
{
	switch (super->codec) {
	case CODEC_ZLIB:
		return suggest_zlib(options, blocks);
	case CODEC_ZSTD:
		return suggest_zstd(options, blocks);
	case CODEC_LZO:
		return suggest_lzo(options, blocks);
	case CODEC_LZ4:
		return suggest_lz4(options, blocks);
	default:
		return true;
	}
}

enum blockz_status squashfs_suggest(const struct blockz_source *file, const struct super *super, struct blocks *blocks,
				    struct blockz_fault *fault)
{
	struct options options;
	enum blockz_status status = read_options(file, super, &options, fault);
	if (status != BLOCKZ_OK)
		return status;
	if (super->codec == CODEC_LZMA || super->codec == CODEC_XZ)
		return suggest_by_properties(file, super, &options, blocks, fault);
	return suggest_all(super, &options, blocks) ? BLOCKZ_OK : fault_nomem(fault);
}
