/* SPDX-License-Identifier: BSD-3-Clause */
/* What was noted is a Block Header without sizes, with a byte of properties behind the longest that there is. */
#include "format/xz/coding.h"

#include <stdlib.h>

#include "base/fault.h"
#include "format/xz/encode.h"

/* Its size, flags, CRC32 and padding; of four filters, three with a start offset, and LZMA2. */
enum { HEADER_MAX = 28, FILTER_LEN_MAX = 6, LZMA2_LEN = 3 };

_Static_assert(2 + 3 * FILTER_LEN_MAX + LZMA2_LEN + 4 <= HEADER_MAX, "room for any chain");

bool xz_coding_note(uint8_t coding[CODING_LEN], const struct xz_block *block, uint8_t properties)
{
	lzma_block bare = {
		.compressed_size = LZMA_VLI_UNKNOWN, .uncompressed_size = LZMA_VLI_UNKNOWN, .filters = block->block.filters,
	};
	if (lzma_block_header_size(&bare) != LZMA_OK || bare.header_size > HEADER_MAX ||
	    lzma_block_header_encode(&bare, coding) != LZMA_OK)
		return false;
	coding[HEADER_MAX] = properties;
	return true;
}

static bool is_noted(const struct pack_params *params)
{
	return params->coding[0] != 0;
}

static enum blockz_status make_chain(const struct pack_params *params, struct xz_block *block, struct blockz_fault *fault)
{
	if (is_noted(params))
		return xz_block_parse(params->coding, HEADER_MAX, CHECK_NONE, BLOCKZ_UNKNOWN, block, fault);
	*block = (struct xz_block){ .filters = { { LZMA_FILTER_LZMA2, NULL }, { LZMA_VLI_UNKNOWN, NULL } } };
	block->filters[0].options = malloc(sizeof(lzma_options_lzma));
	return block->filters[0].options != NULL ? BLOCKZ_OK : fault_nomem(fault);
}

/* A dictionary larger than what it is for would cost memory, for nothing. */
static uint32_t bounded_dictionary(uint32_t dict_size, uint64_t piece_size)
{
	if (dict_size <= piece_size)
		return dict_size;
	return piece_size < LZMA_DICT_SIZE_MIN ? LZMA_DICT_SIZE_MIN : (uint32_t)piece_size;
}

/* Encoding again, as a Block was encoded, or by a level that does more. */
static bool choose_noted(const struct pack_params *params, lzma_options_lzma *options)
{
	uint8_t properties = params->coding[HEADER_MAX];
	uint32_t dict_size = options->dict_size, extreme = params->level == XZ_RENEW_EXTREME ? LZMA_PRESET_EXTREME : 0;
	if (lzma_lzma_preset(options, xz_preset(params) | extreme))
		return false;
	options->dict_size = dict_size;
	options->lc = properties % 9;
	options->lp = properties / 9 % 5;
	options->pb = properties / 9 / 5;
	if (params->level == XZ_RENEW_CONTEXT)
		options->lc = LZMA_LCLP_MAX - options->lp;
	return true;
}

bool xz_coding_options(const struct pack_params *params, lzma_options_lzma *options)
{
	bool chosen = is_noted(params) ? choose_noted(params, options) : !lzma_lzma_preset(options, xz_preset(params));
	if (!chosen)
		return false;
	options->dict_size = bounded_dictionary(options->dict_size, params->piece_size);
	return true;
}

enum blockz_status xz_coding_chain(const struct pack_params *params, struct xz_block *block, struct blockz_fault *fault)
{
	enum blockz_status status = make_chain(params, block, fault);
	if (status != BLOCKZ_OK)
		return status;
	lzma_options_lzma *options = xz_block_lzma2(block);
	if (options != NULL && xz_coding_options(params, options))
		return BLOCKZ_OK;
	xz_block_free(block);
	return fault_set(fault, BLOCKZ_UNSUPPORTED, BLOCKZ_UNKNOWN, "filters that cannot be encoded");
}
