/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Blocks of no bytes, which stand right behind the header, where no decoder has any state yet that they could change.  A raw
 * one has 3 bytes, one of a repeated byte has 4, so a sum of these is every number but 1, 2 and 5.  What else would make a
 * frame longer, a dictionary ID of 0, is refused by decoders that know no dictionaries.
 *
 * Decoders take their time with very many blocks.  Where much has to be filled, most of it is done by raw blocks at the end.
 */
#include "format/zstd/fill.h"

#include <string.h>

#include "base/fault.h"
#include "format/zstd/frame.h"
#include "format/zstd/tail.h"

enum {
	RLE_LEN = BLOCK_HEADER_LEN + 1,
};

/* How many of the blocks repeat a byte; the others are raw. */
static size_t rle_count(size_t amount)
{
	return amount % BLOCK_HEADER_LEN;
}

bool fill_is_possible(size_t amount)
{
	return rle_count(amount) * RLE_LEN <= amount && amount <= FILL_MAX;
}

void fill_store(uint8_t *bytes, size_t amount)
{
	static const struct block_header header = { false, BLOCK_RLE, 0 };
	memset(bytes, 0, amount); /* a raw block of no bytes that is not the last has a header of zeros */
	for (size_t i = 0; i < rle_count(amount); i++)
		block_header_store(bytes + i * RLE_LEN, &header);
}

static enum blockz_status insert_blocks(struct encoding *encoding, size_t len, bool *filled_ret,
					struct blockz_fault *fault)
{
	struct frame_header header;
	struct buffer out = { .room = 0 };
	size_t amount = len - encoding->len;
	*filled_ret = fill_is_possible(amount);
	if (!*filled_ret || amount == 0)
		return BLOCKZ_OK;
	enum blockz_status status = frame_header_parse(encoding->out.bytes, encoding->len, BLOCKZ_UNKNOWN, &header, fault);
	if (status != BLOCKZ_OK)
		return status;
	if (!buffer_reserve(&out, len))
		return fault_nomem(fault);
	memcpy(out.bytes, encoding->out.bytes, header.len);
	fill_store(out.bytes + header.len, amount);
	memcpy(out.bytes + header.len + amount, encoding->out.bytes + header.len, encoding->len - header.len);
	buffer_free(&encoding->out);
	encoding->out = out;
	encoding->len = len;
	return BLOCKZ_OK;
}

enum blockz_status zstd_fill(struct encoding *encoding, size_t len, bool *filled_ret, struct blockz_fault *fault)
{
	struct encoding raw = { .len = 0 };
	*filled_ret = false;
	if (len < encoding->len)
		return BLOCKZ_OK;
	if (len - encoding->len <= FILL_MAX)
		return insert_blocks(encoding, len, filled_ret, fault);
	enum blockz_status status = zstd_raw_tail(encoding, len, &raw, fault);
	if (status == BLOCKZ_OK)
		status = insert_blocks(&raw, len, filled_ret, fault);
	if (status == BLOCKZ_OK && *filled_ret) {
		struct encoding old = *encoding;
		*encoding = raw;
		raw = old;
	}
	buffer_free(&raw.out);
	return status;
}
