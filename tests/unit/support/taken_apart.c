/* SPDX-License-Identifier: BSD-3-Clause */
/* The list of blocks is held to what codec/blocks.h promises of it. */
#include "taken_apart.h"

#include <string.h>

#include "blockz_delta.h"
#include "format/format.h"

void assert_list(const struct blocks *blocks, uint64_t file_size)
{
	uint64_t pos = 0;
	ck_assert_uint_le(blocks->size, file_size);
	ck_assert_ptr_nonnull(memchr(blocks->container, 0, sizeof(blocks->container)));
	ck_assert_ptr_nonnull(memchr(blocks->note, 0, sizeof(blocks->note)));
	for (size_t i = 0; i < blocks->count; i++) {
		const struct block *block = &blocks->items[i];
		ck_assert_uint_ge(block->file_off, pos);
		ck_assert_uint_gt(block->file_len, 0);
		ck_assert_uint_gt(block->plain_len, 0);
		ck_assert_uint_le(block->file_len, CODEC_BLOCK_MAX);
		ck_assert_uint_le(block->plain_len, CODEC_BLOCK_MAX);
		ck_assert(block->codec != CODEC_STORED || block->file_len == block->plain_len);
		pos = block->file_off + block->file_len;
		ck_assert_uint_le(pos, blocks->size);
	}
	for (size_t i = 0; i < blocks->candidate_count; i++)
		ck_assert(codec_params_are_valid(&blocks->candidates[i]));
	ck_assert_uint_lt(blocks->candidate_count, UINT8_MAX);
}

static struct bytes decode(struct codec_contexts *contexts, struct bytes file, const struct block *block)
{
	struct blockz_fault fault = { .text = "" };
	struct bytes in = bytes_new(block->file_len + DECODE_SLACK), out = bytes_new(block->plain_len + DECODE_SLACK);
	memcpy(in.data, file.data + block->file_off, block->file_len);
	enum blockz_status status =
		codec_decode(contexts, block->codec, in.data, block->file_len, out.data, block->plain_len, &fault);
	ck_assert_msg(status == BLOCKZ_OK, "block at %llu: %s", (unsigned long long)block->file_off, fault.text);
	return (struct bytes){ out.data, block->plain_len };
}

struct taken_apart take_apart(struct bytes file, const struct blockz_lzo *lzo)
{
	struct taken_apart self = { .file = file };
	struct blockz_source source = bytes_source(file);
	const struct codec_env env = { lzo };
	struct codec_contexts contexts = { .env = &env };
	ck_assert_int_eq(container_read(&source, &env, &self.blocks, NULL), BLOCKZ_OK);
	assert_list(&self.blocks, file.len);
	self.plain = keep((self.blocks.count + 1) * sizeof(*self.plain));
	for (size_t i = 0; i < self.blocks.count; i++)
		self.plain[i] = decode(&contexts, file, &self.blocks.items[i]);
	codec_contexts_free(&contexts);
	return self;
}

void taken_apart_free(struct taken_apart *self)
{
	blocks_free(&self->blocks);
}

void assert_plain(struct bytes file, const char *reason)
{
	struct taken_apart self = take_apart(file, NULL);
	ck_assert_str_eq(self.blocks.container, "plain");
	ck_assert_uint_eq(self.blocks.count, 0);
	ck_assert_uint_eq(self.blocks.candidate_count, 0);
	ck_assert_uint_eq(self.blocks.size, file.len);
	if (reason == NULL)
		ck_assert_str_eq(self.blocks.note, "");
	else
		ck_assert_msg(strstr(self.blocks.note, reason) != NULL, "'%s' has no '%s'", self.blocks.note, reason);
	taken_apart_free(&self);
}
