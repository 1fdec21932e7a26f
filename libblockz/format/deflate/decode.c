/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Decoding one piece.
 *
 * The walker shows where the piece's own blocks end, which success of a decoder of whole streams would not: a piece whose last
 * block is final and unfinished takes what is put behind it for the rest of that block.  And it is as strict as zlib, where
 * others take codes and symbols that nobody may use.
 */
#include "format/deflate/decode.h"

#include <inttypes.h>
#include <string.h>

#include "base/fault.h"
#include "base/plural.h"
#include "format/deflate/layout.h"
#include "format/deflate/walk.h"

_Static_assert((int)WALK_TEXT_SLACK <= (int)DECODE_SLACK, "there is room for what a walk writes behind the text");

void deflate_decoder_free(void *walker)
{
	walker_free(walker);
}

void *deflate_decoder_new(uint64_t window_max)
{
	(void)window_max; /* never more than 32 KiB */
	struct walker *walker = NULL;
	return walker_new(&walker, NULL) == BLOCKZ_OK ? walker : NULL;
}

/* Behind text, which has room for out_len bytes and the slack. */
static enum blockz_status decode_block(struct walker *walker, const struct encoded_piece *encoded, size_t out_len,
				       struct walk_block *block, struct walk_text *text, struct blockz_fault *fault)
{
	bool ended = true;
	enum blockz_status status = walker_begin(walker, block, fault);
	if (status == BLOCKZ_OK && block->type != WALK_STORED)
		status = walker_text(walker, block, text, NULL, &ended, fault);
	if (status != BLOCKZ_OK) {
		if (fault != NULL)
			fault->offset += encoded->file_off;
		return status;
	}
	if (!ended || block->out_end > out_len)
		return fault_set(fault, BLOCKZ_DAMAGED, encoded->file_off + block->end_bit / 8,
				 "a piece decodes to more than %zu byte%s", out_len, plural(out_len));
	if (block->type == WALK_STORED)
		memcpy(text->bytes + text->len, encoded->bytes + block->payload_off, (size_t)block->out_end - text->len);
	text->len = (size_t)block->out_end;
	return BLOCKZ_OK;
}

enum blockz_status deflate_decode(void *walker, const struct encoded_piece *encoded, uint8_t *out, size_t out_len,
				  struct blockz_fault *fault)
{
	struct walk_block block = { 0 };
	struct walk_text text = { .bytes = out, .room = out_len + WALK_TEXT_SLACK };
	walker_reset_memory(walker, encoded->bytes, encoded->len);
	while (block.end_bit < (uint64_t)encoded->len * 8 && !block.final) {
		enum blockz_status status = decode_block(walker, encoded, out_len, &block, &text, fault);
		if (status != BLOCKZ_OK)
			return status;
	}
	if (block.final != encoded->ends_stream)
		return fault_set(fault, BLOCKZ_DAMAGED, encoded->file_off + block.header_bit / 8,
				 encoded->ends_stream ? "deflate stream does not end with its last piece"
						   : "a final deflate block in the middle of the stream");
	if ((block.end_bit + 7) / 8 != encoded->len || (!encoded->ends_stream && block.end_bit % 8 != 0))
		return fault_set(fault, BLOCKZ_DAMAGED, encoded->file_off + block.end_bit / 8,
				 "a piece does not end at a block boundary");
	if (text.len != out_len)
		return fault_set(fault, BLOCKZ_DAMAGED, encoded->file_off, "a piece decodes to %zu byte%s, expected %zu",
				 text.len, plural(text.len), out_len);
	return BLOCKZ_OK;
}
