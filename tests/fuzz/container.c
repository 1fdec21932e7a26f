/* SPDX-License-Identifier: BSD-3-Clause */
/* Any bytes as an image for deltas: the list of its blocks holds, and decoding them fails or not, but does nothing else. */
#include <dlfcn.h>

#include "blockz_delta.h"
#include "container/container.h"
#include "format/format.h"
#include "fuzz.h"

enum { DECODED_MAX = 8 << 20 };

typedef int (*lzo_decompress)(const unsigned char *in, size_t len, unsigned char *out, size_t *out_len, void *unused);

static lzo_decompress decompress_safe;

static int decompress(void *ctx, const void *in, size_t len, void *out, size_t out_len)
{
	size_t got = out_len;
	(void)ctx;
	return decompress_safe(in, len, out, &got, NULL) == 0 && got == out_len ? 0 : EILSEQ;
}

/* By liblzo2, where it is installed; its licence keeps it from being linked. */
static const struct blockz_lzo *find_lzo(void)
{
	static const struct blockz_lzo_ops ops = { .decompress = decompress };
	static const struct blockz_lzo lzo = { &ops, NULL };
	void *library = decompress_safe == NULL ? dlopen("liblzo2.so.2", RTLD_NOW) : NULL;
	if (library != NULL)
		*(void **)&decompress_safe = dlsym(library, "lzo1x_decompress_safe");
	return decompress_safe != NULL ? &lzo : NULL;
}

static void check_list(const struct blocks *blocks, size_t file_size)
{
	uint64_t pos = 0;
	assert(blocks->size <= file_size && blocks->candidate_count < UINT8_MAX);
	for (size_t i = 0; i < blocks->count; i++) {
		const struct block *block = &blocks->items[i];
		assert(block->file_off >= pos && block->file_len > 0 && block->plain_len > 0);
		assert(block->file_len <= CODEC_BLOCK_MAX && block->plain_len <= CODEC_BLOCK_MAX);
		assert(codec_at(block->codec) != NULL);
		assert(block->codec != CODEC_STORED || block->file_len == block->plain_len);
		pos = block->file_off + block->file_len;
		assert(pos <= blocks->size);
	}
	for (size_t i = 0; i < blocks->candidate_count; i++)
		assert(codec_params_are_valid(&blocks->candidates[i]));
}

static void decode(struct codec_contexts *contexts, const struct block *block, const uint8_t *data)
{
	struct blockz_fault fault = { 0 };
	uint8_t *in = malloc(block->file_len + DECODE_SLACK), *out = malloc(block->plain_len + DECODE_SLACK);
	assert(in != NULL && out != NULL);
	memcpy(in, data + block->file_off, block->file_len);
	enum blockz_status status =
		codec_decode(contexts, block->codec, in, block->file_len, out, block->plain_len, &fault);
	check_fault(status, &fault);
	assert(status == BLOCKZ_OK || status == BLOCKZ_DAMAGED || status == BLOCKZ_LIMIT);
	free(in);
	free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct blockz_memory memory = { data, size };
	struct blockz_source source = blockz_source_memory(&memory);
	const struct codec_env env = { find_lzo() };
	struct codec_contexts contexts = { .env = &env };
	struct blocks blocks;
	size_t decoded = 0;
	assert(container_read(&source, &env, &blocks, NULL) == BLOCKZ_OK);
	check_list(&blocks, size);
	for (size_t i = 0; i < blocks.count && decoded < DECODED_MAX; i++) {
		decode(&contexts, &blocks.items[i], data);
		decoded += blocks.items[i].plain_len;
	}
	codec_contexts_free(&contexts);
	blocks_free(&blocks);
	return 0;
}
