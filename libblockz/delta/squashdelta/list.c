/* SPDX-License-Identifier: BSD-3-Clause */
/* Header and list of blocks, read and written. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/checked.h"
#include "base/export.h"
#include "base/fault.h"
#include "base/plural.h"
#include "blockz_delta.h"
#include "delta/squashdelta/squashdelta.h"
#include "io/access.h"

/* The compression field. */
enum {
	ID_SHIFT = 24, /* the highest byte says which codec; */
	ID_LZO = 1,    /* the lowest four bits are the level of lzo1x_999; */
	ID_LZ4 = 2,
	LZO_OPTIMISED = 0x10,
	LZO_LEVEL_MASK = 0x0f,
	LZ4_HC = 0x01,
};

/* What mksquashfs does: lzo -Xalgorithm lzo1x_999, lz4 -Xhc. */
enum { ALGORITHM_999 = 4, HC_LEVEL = 12 };

/* Entries that are read or written at once. */
enum { ENTRIES_A_PART = 4096 };

static uint32_t load_be32(const uint8_t *bytes)
{
	return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static void store_be32(uint8_t *bytes, uint32_t value)
{
	for (int i = 0; i < 4; i++)
		bytes[i] = (uint8_t)(value >> (24 - 8 * i));
}

/* ---- Compression */

bool squashdelta_compression(const struct codec_params *params, uint32_t *compression_ret)
{
	const uint32_t *values = params->values;
	if (params->codec == CODEC_LZO && values[LZO_ALGORITHM] == ALGORITHM_999)
		*compression_ret = (uint32_t)ID_LZO << ID_SHIFT | (values[LZO_OPTIMISE] != 0 ? LZO_OPTIMISED : 0) |
				   values[LZO_LEVEL];
	else if (params->codec == CODEC_LZ4 && (values[LZ4_LEVEL] == 0 || values[LZ4_LEVEL] == HC_LEVEL))
		*compression_ret = (uint32_t)ID_LZ4 << ID_SHIFT | (values[LZ4_LEVEL] > 0 ? LZ4_HC : 0);
	else
		return false;
	return true;
}

static enum blockz_status parse_compression(uint32_t field, uint64_t offset, struct codec_params *params_ret,
					    struct blockz_fault *fault)
{
	struct codec_params params = { 0 };
	uint32_t id = field >> ID_SHIFT, again;
	if (id == 0)
		return fault_set(fault, BLOCKZ_UNSUPPORTED, offset,
				 "compression %08" PRIx32 " names no compressor; before version 0.1 there was no such field, "
				 "and files of that kind are not supported", field);
	if (id == ID_LZO) {
		params.codec = CODEC_LZO;
		params.values[LZO_ALGORITHM] = ALGORITHM_999;
		params.values[LZO_LEVEL] = field & LZO_LEVEL_MASK;
		params.values[LZO_OPTIMISE] = (field & LZO_OPTIMISED) != 0;
	} else if (id == ID_LZ4) {
		params.codec = CODEC_LZ4;
		params.values[LZ4_LEVEL] = (field & LZ4_HC) != 0 ? HC_LEVEL : 0;
	}
	if (params.codec == CODEC_STORED || !codec_params_are_valid(&params) ||
	    !squashdelta_compression(&params, &again) || again != field)
		return fault_set(fault, BLOCKZ_UNSUPPORTED, offset, "compression %08" PRIx32 " is not known", field);
	*params_ret = params;
	return BLOCKZ_OK;
}

/* ---- The list in memory */

struct blockz_squashdelta *squashdelta_new(const struct codec_params *params)
{
	struct blockz_squashdelta *list = calloc(1, sizeof(*list));
	if (list != NULL)
		list->params = *params;
	return list;
}

EXPORT void blockz_squashdelta_free(struct blockz_squashdelta *list)
{
	if (list != NULL)
		free(list->items);
	free(list);
}

EXPORT struct blockz_squashdelta_info blockz_squashdelta_info(const struct blockz_squashdelta *list)
{
	struct blockz_squashdelta_info info = {
		.blocks = list->count, .packed_bytes = list->packed_len, .plain_bytes = list->plain_len,
		.list_len = SQUASHDELTA_HEADER_LEN + (uint64_t)SQUASHDELTA_ENTRY_LEN * list->count,
	};
	codec_encoder_name(&list->params, info.encoder);
	return info;
}

static uint64_t end_of(const struct squashdelta_block *block)
{
	return (uint64_t)block->file_off + block->file_len;
}

enum blockz_status squashdelta_append(struct blockz_squashdelta *list, const struct squashdelta_block *block,
				      uint64_t offset, struct blockz_fault *fault)
{
	uint64_t end = list->count > 0 ? end_of(&list->items[list->count - 1]) : 0;
	if (block->file_len == 0 || block->file_len > CODEC_BLOCK_MAX || block->plain_len == 0 ||
	    block->plain_len > CODEC_BLOCK_MAX)
		return fault_set(fault, BLOCKZ_DAMAGED, offset,
				 "block of %" PRIu32 " bytes that decode to %" PRIu32 ", expected 1 to %d", block->file_len,
				 block->plain_len, (int)CODEC_BLOCK_MAX);
	if (block->file_off < end)
		return fault_set(fault, BLOCKZ_DAMAGED, offset,
				 "block at %" PRIu32 " of the image, expected one behind %" PRIu64, block->file_off, end);
	struct squashdelta_block *items = array_room(list->items, list->count, sizeof(*items));
	if (items == NULL)
		return fault_nomem(fault);
	list->items = items;
	items[list->count++] = *block;
	list->packed_len += block->file_len;
	list->plain_len += block->plain_len;
	return BLOCKZ_OK;
}

enum blockz_status squashdelta_fit(const struct blockz_squashdelta *list, uint64_t image_size,
				   struct blockz_fault *fault)
{
	uint64_t end = list->count > 0 ? end_of(&list->items[list->count - 1]) : 0;
	if (end > image_size)
		return fault_set(fault, BLOCKZ_DAMAGED, BLOCKZ_UNKNOWN,
				 "the image has %" PRIu64 " byte%s, its last block is listed as ending at %" PRIu64, image_size,
				 plural(image_size),
				 end);
	return BLOCKZ_OK;
}

/* ---- Reading */

static enum blockz_status read_header(const struct blockz_source *source, uint64_t offset,
				      struct blockz_squashdelta **list_ret, uint32_t *count_ret,
				      struct blockz_fault *fault)
{
	uint8_t bytes[SQUASHDELTA_HEADER_LEN];
	struct codec_params params;
	enum blockz_status status = read_file(source, bytes, sizeof(bytes), offset, fault);
	if (status != BLOCKZ_OK)
		return status;
	if (memcmp(bytes, BLOCKZ_SQUASHDELTA_MAGIC, BLOCKZ_SQUASHDELTA_MAGIC_LEN) != 0)
		return fault_set(fault, BLOCKZ_DAMAGED, offset, "no header of SquashDelta: magic %08" PRIx32
				 ", expected 5371ceb4", load_be32(bytes));
	if (load_be32(bytes + 4) != 0)
		return fault_set(fault, BLOCKZ_UNSUPPORTED, offset + 4, "flags %08" PRIx32 " are not known",
				 load_be32(bytes + 4));
	status = parse_compression(load_be32(bytes + 8), offset + 8, &params, fault);
	if (status != BLOCKZ_OK)
		return status;
	uint32_t count = load_be32(bytes + 12);
	if (count > SQUASHDELTA_BLOCKS_MAX)
		return fault_set(fault, BLOCKZ_LIMIT, offset + 12, "%" PRIu32 " blocks, at most %d are supported", count,
				 (int)SQUASHDELTA_BLOCKS_MAX);
	*list_ret = squashdelta_new(&params);
	*count_ret = count;
	return *list_ret != NULL ? BLOCKZ_OK : fault_nomem(fault);
}

/* In parts, so that memory follows from what is there and not from what the header says. */
static enum blockz_status read_entries(const struct blockz_source *source, uint64_t offset, uint32_t count,
				       struct blockz_squashdelta *list, struct blockz_fault *fault)
{
	uint8_t *bytes = malloc((size_t)ENTRIES_A_PART * SQUASHDELTA_ENTRY_LEN);
	enum blockz_status status = bytes != NULL ? BLOCKZ_OK : fault_nomem(fault);
	while (count > 0 && status == BLOCKZ_OK) {
		size_t part = (size_t)min(count, ENTRIES_A_PART);
		status = read_file(source, bytes, part * SQUASHDELTA_ENTRY_LEN, offset, fault);
		for (size_t i = 0; i < part && status == BLOCKZ_OK; i++, offset += SQUASHDELTA_ENTRY_LEN) {
			const uint8_t *at = bytes + i * SQUASHDELTA_ENTRY_LEN;
			const struct squashdelta_block block = { load_be32(at), load_be32(at + 4), load_be32(at + 8) };
			status = squashdelta_append(list, &block, offset, fault);
		}
		count -= (uint32_t)part;
	}
	free(bytes);
	return status;
}

EXPORT enum blockz_status blockz_squashdelta_read(const struct blockz_source *delta, struct blockz_squashdelta **list_ret,
						  struct blockz_fault *fault)
{
	struct blockz_squashdelta *list = NULL;
	uint32_t count = 0;
	enum blockz_status status = read_header(delta, 0, &list, &count, fault);
	if (status == BLOCKZ_OK)
		status = read_entries(delta, SQUASHDELTA_HEADER_LEN, count, list, fault);
	if (status == BLOCKZ_OK)
		*list_ret = list;
	else
		blockz_squashdelta_free(list);
	return fault_about(fault, status, BLOCKZ_ABOUT_DELTA);
}

/* The list in front of the header at header_off, and the image's size, which is what the other parts leave of it. */
static enum blockz_status read_list_of_end(const struct blockz_source *expanded, uint64_t header_off, uint32_t count,
					   struct blockz_squashdelta *list, uint64_t *image_size_ret,
					   struct blockz_fault *fault)
{
	uint64_t list_len = (uint64_t)count * SQUASHDELTA_ENTRY_LEN;
	if (list_len > header_off)
		return fault_set(fault, BLOCKZ_DAMAGED, header_off + 12, "%" PRIu32 " blocks, more than the file has room for",
				 count);
	enum blockz_status status = read_entries(expanded, header_off - list_len, count, list, fault);
	if (status != BLOCKZ_OK)
		return status;
	uint64_t left = header_off - list_len;
	if (list->plain_len > left)
		return fault_set(fault, BLOCKZ_DAMAGED, left,
				 "the blocks decode to %" PRIu64 " bytes, and %" PRIu64 " are in front of their list",
				 list->plain_len, left);
	*image_size_ret = left - list->plain_len;
	return squashdelta_fit(list, left - list->plain_len, fault);
}

enum blockz_status squashdelta_read_end(const struct blockz_source *expanded, struct blockz_squashdelta **list_ret,
					uint64_t *image_size_ret, struct blockz_fault *fault)
{
	struct blockz_squashdelta *list = NULL;
	uint32_t count = 0;
	if (expanded->size < SQUASHDELTA_HEADER_LEN)
		return fault_set(fault, BLOCKZ_DAMAGED, 0, "no expanded file of SquashDelta: it has %" PRIu64 " bytes",
				 expanded->size);
	uint64_t header_off = expanded->size - SQUASHDELTA_HEADER_LEN;
	enum blockz_status status = read_header(expanded, header_off, &list, &count, fault);
	if (status == BLOCKZ_OK)
		status = read_list_of_end(expanded, header_off, count, list, image_size_ret, fault);
	if (status == BLOCKZ_OK)
		*list_ret = list;
	else
		blockz_squashdelta_free(list);
	return status;
}

/* ---- Writing */

static enum blockz_status write_header(const struct blockz_squashdelta *list, const struct blockz_sink *sink,
				       struct blockz_fault *fault)
{
	uint8_t bytes[SQUASHDELTA_HEADER_LEN] = BLOCKZ_SQUASHDELTA_MAGIC;
	uint32_t compression = 0;
	squashdelta_compression(&list->params, &compression);
	store_be32(bytes + 8, compression);
	store_be32(bytes + 12, (uint32_t)list->count);
	return write_out(sink, bytes, sizeof(bytes), fault);
}

static enum blockz_status write_entries(const struct blockz_squashdelta *list, const struct blockz_sink *sink,
					struct blockz_fault *fault)
{
	uint8_t *bytes = malloc((size_t)ENTRIES_A_PART * SQUASHDELTA_ENTRY_LEN);
	enum blockz_status status = bytes != NULL ? BLOCKZ_OK : fault_nomem(fault);
	for (size_t i = 0; i < list->count && status == BLOCKZ_OK;) {
		size_t len = 0;
		for (; i < list->count && len < (size_t)ENTRIES_A_PART * SQUASHDELTA_ENTRY_LEN; i++) {
			store_be32(bytes + len, list->items[i].file_off);
			store_be32(bytes + len + 4, list->items[i].file_len);
			store_be32(bytes + len + 8, list->items[i].plain_len);
			len += SQUASHDELTA_ENTRY_LEN;
		}
		status = write_out(sink, bytes, len, fault);
	}
	free(bytes);
	return status;
}

EXPORT enum blockz_status blockz_squashdelta_write(const struct blockz_squashdelta *list, const struct blockz_sink *sink,
						   struct blockz_fault *fault)
{
	enum blockz_status status = write_header(list, sink, fault);
	return status == BLOCKZ_OK ? write_entries(list, sink, fault) : status;
}

enum blockz_status squashdelta_write_end(const struct blockz_squashdelta *list, const struct blockz_sink *sink,
					 struct blockz_fault *fault)
{
	enum blockz_status status = write_entries(list, sink, fault);
	return status == BLOCKZ_OK ? write_header(list, sink, fault) : status;
}
