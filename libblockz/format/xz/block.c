/* SPDX-License-Identifier: BSD-3-Clause */
/* Block Headers, and the Blocks of raw chunks that blockz writes. */
#include "format/xz/block.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "format/xz/index.h"

static const struct {
	enum check_method method;
	lzma_check id;
} checks[] = {
	{ CHECK_NONE, LZMA_CHECK_NONE },
	{ CHECK_CRC32, LZMA_CHECK_CRC32 },
	{ CHECK_CRC64, LZMA_CHECK_CRC64 },
	{ CHECK_SHA256, LZMA_CHECK_SHA256 },
};

enum { CHECK_COUNT = sizeof(checks) / sizeof(checks[0]) };

lzma_check xz_check_id(enum check_method method)
{
	size_t i = 0;
	while (i + 1 < CHECK_COUNT && checks[i].method != method)
		i++;
	return checks[i].id;
}

bool xz_check_method(lzma_check id, enum check_method *method_ret)
{
	for (size_t i = 0; i < CHECK_COUNT; i++) {
		if (checks[i].id != id)
			continue;
		*method_ret = checks[i].method;
		return true;
	}
	return false;
}

void xz_block_free(struct xz_block *block)
{
	for (size_t i = 0; i < LZMA_FILTERS_MAX && block->filters[i].id != LZMA_VLI_UNKNOWN; i++)
		free(block->filters[i].options);
	block->filters[0].id = LZMA_VLI_UNKNOWN;
}

enum blockz_status xz_block_parse(const uint8_t *bytes, size_t len, enum check_method method, uint64_t file_off,
				  struct xz_block *block, struct blockz_fault *fault)
{
	*block = (struct xz_block){ .block = { .check = xz_check_id(method) } };
	block->filters[0].id = LZMA_VLI_UNKNOWN;
	block->block.filters = block->filters;
	if (len == 0 || bytes[0] == INDEX_INDICATOR || lzma_block_header_size_decode(bytes[0]) > len)
		return fault_set(fault, BLOCKZ_DAMAGED, file_off, "expected an xz Block Header");
	block->block.header_size = lzma_block_header_size_decode(bytes[0]);
	switch (lzma_block_header_decode(&block->block, NULL, bytes)) {
	case LZMA_OK:
		break;
	case LZMA_MEM_ERROR:
		return fault_nomem(fault);
	case LZMA_OPTIONS_ERROR:
		return xz_block_unsupported(file_off, fault);
	default:
		return fault_set(fault, BLOCKZ_DAMAGED, file_off, "an xz Block Header does not match its CRC-32");
	}
	block->lzma2_only = block->filters[0].id == LZMA_FILTER_LZMA2;
	return BLOCKZ_OK;
}

enum blockz_status xz_block_unsupported(uint64_t file_off, struct blockz_fault *fault)
{
	return fault_set(fault, BLOCKZ_UNSUPPORTED, file_off, "a Block with filters that are not supported");
}

enum blockz_status xz_block_damaged(uint64_t file_off, struct blockz_fault *fault)
{
	return fault_set(fault, BLOCKZ_DAMAGED, file_off, "an xz Block does not decode, or does not match its Check");
}

enum blockz_status xz_block_other_sizes(uint64_t file_off, struct blockz_fault *fault)
{
	return fault_set(fault, BLOCKZ_DAMAGED, file_off, "an xz Block has other sizes than the Index says");
}

lzma_options_lzma *xz_block_lzma2(const struct xz_block *block)
{
	for (const lzma_filter *filter = block->filters; filter->id != LZMA_VLI_UNKNOWN; filter++)
		if (filter->id == LZMA_FILTER_LZMA2)
			return filter->options;
	return NULL;
}

enum blockz_status xz_block_dictionary(const struct xz_block *block, uint64_t image_len, uint64_t window_max, uint64_t file_off,
				       uint32_t *len_ret, struct blockz_fault *fault)
{
	const lzma_options_lzma *options = xz_block_lzma2(block);
	if (options == NULL)
		return xz_block_unsupported(file_off, fault);
	uint32_t len = options->dict_size;
	if (len > image_len)
		len = (uint32_t)(image_len < LZMA_DICT_SIZE_MIN ? LZMA_DICT_SIZE_MIN : image_len);
	if (len > window_max)
		return fault_set(fault, BLOCKZ_LIMIT, file_off, "a dictionary of %" PRIu32 " bytes, at most %" PRIu64 " are allowed",
				 len, window_max);
	*len_ret = len;
	return BLOCKZ_OK;
}

size_t xz_block_tail(uint64_t chunks_len, enum check_method method, const uint8_t *field, uint8_t tail[BLOCK_TAIL_MAX],
		     unsigned *padding_ret)
{
	unsigned padding = (unsigned)(xz_padded(chunks_len) - chunks_len);
	size_t field_len = check_methods[method].len;
	memset(tail, 0, CHUNK_END_LEN + padding);
	memcpy(tail + CHUNK_END_LEN + padding, field, field_len);
	*padding_ret = padding;
	return CHUNK_END_LEN + padding + field_len;
}

uint64_t raw_chunk_end(uint64_t pos, uint64_t end)
{
	uint64_t edge = pos - pos % RAW_PAYLOAD + RAW_PAYLOAD;
	return edge < end ? edge : end;
}

uint64_t raw_chunks_len(uint64_t start, uint64_t end)
{
	return end - start + CHUNK_RAW_HEADER_LEN * ((end - 1) / RAW_PAYLOAD - start / RAW_PAYLOAD + 1) + 1;
}

size_t raw_block_header(uint8_t bytes[BLOCK_HEADER_LEN_MAX], uint64_t start, uint64_t end, enum check_method method)
{
	lzma_options_lzma options = { .dict_size = LZMA_DICT_SIZE_MIN };
	lzma_filter filters[] = { { LZMA_FILTER_LZMA2, &options }, { LZMA_VLI_UNKNOWN, NULL } };
	lzma_block block = {
		.check = xz_check_id(method), .compressed_size = raw_chunks_len(start, end),
		.uncompressed_size = end - start, .filters = filters,
	};
	if (lzma_block_header_size(&block) != LZMA_OK || lzma_block_header_encode(&block, bytes) != LZMA_OK)
		return 0;
	return block.header_size;
}
