/* SPDX-License-Identifier: BSD-3-Clause */
/* Proofs of blocks: what is found, whatever the threads, and what is not. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "codec/prove.h"
#include "codecs.h"

enum { BLOCKS = 150, PLAIN = 6000 };

static const struct codec_params candidates[] = {
	{ CODEC_ZSTD, { 3 } },       /* of none */
	{ CODEC_ZLIB, { 9, 15, 0 } }, /* of most content */
	{ CODEC_ZLIB, { 6, 15, 2 } }, /* of every fifth block of content */
	{ CODEC_ZLIB, { 1, 9, 0 } },  /* of metadata alone */
};

enum { CANDIDATES = sizeof(candidates) / sizeof(candidates[0]) };

static const struct codec_params unknown = { CODEC_ZLIB, { 2, 15, 0 } };

struct sample_file {
	struct bytes bytes;
	struct blocks blocks;
	uint32_t wanted[BLOCKS];
	uint8_t expected[BLOCKS];
};

/* Block i: content but for every tenth; some that nobody made, and some that are damaged. */
static void choose(size_t i, const struct codec_params **params_ret, uint8_t *expected_ret, bool *damaged_ret)
{
	size_t candidate = i % 10 == 9 ? 3 : i % 5 == 2 ? 2 : 1;
	*damaged_ret = i % 31 == 30;
	bool is_unknown = i % 23 == 22 && candidate == 1;
	*params_ret = is_unknown ? &unknown : &candidates[candidate];
	*expected_ret = is_unknown || *damaged_ret ? PROVE_NONE : (uint8_t)candidate;
}

static void sample_file_init(struct sample_file *self)
{
	struct codec_contexts contexts = { 0 };
	*self = (struct sample_file){ .bytes = bytes_new(BLOCKS * PLAIN) };
	self->blocks.size = self->bytes.len;
	uint64_t pos = 0;
	for (size_t i = 0; i < BLOCKS; i++) {
		const struct codec_params *params;
		bool damaged;
		choose(i, &params, &self->expected[i], &damaged);
		struct bytes packed = encode_block(&contexts, params, image_new(IMAGE_TEXT, PLAIN - i));
		const struct block block = {
			.file_off = pos, .file_len = (uint32_t)packed.len, .plain_len = (uint32_t)(PLAIN - i),
			.codec = params->codec, .is_metadata = i % 10 == 9,
		};
		if (damaged)
			packed.data[packed.len / 2] ^= 1;
		memcpy(self->bytes.data + pos, packed.data, packed.len);
		ck_assert(blocks_append(&self->blocks, &block));
		self->wanted[i] = (uint32_t)i;
		pos += packed.len + i % 3;
	}
	for (size_t i = 0; i < CANDIDATES; i++)
		ck_assert(blocks_suggest(&self->blocks, &candidates[i]));
	codec_contexts_free(&contexts);
}

START_TEST(proofs_do_not_depend_on_threads)
{
	struct sample_file file;
	sample_file_init(&file);
	uint8_t proof[BLOCKS];
	uint64_t cost_ns[BLOCKS];
	struct blockz_source source = bytes_source(file.bytes);
	struct blockz_work work = { .threads = (unsigned)_i };
	struct blockz_fault fault = { 0 };
	const struct codec_env env = { 0 };
	struct proof_digest digest[BLOCKS];
	const struct proofs proofs = { &source, &file.blocks, &env, file.wanted, BLOCKS, proof, cost_ns, digest };
	enum blockz_status status = prove_blocks(&proofs, &work, &fault);
	ck_assert_msg(status == BLOCKZ_OK, "%s", fault.text);
	for (size_t i = 0; i < BLOCKS; i++) {
		ck_assert_msg(proof[i] == file.expected[i], "block %zu: %u", i, proof[i]);
		ck_assert_int_eq(cost_ns[i] > 0, proof[i] != PROVE_NONE);
	}
	blocks_free(&file.blocks);
}
END_TEST

START_TEST(only_what_is_wanted_is_proved)
{
	struct sample_file file;
	sample_file_init(&file);
	static const uint32_t wanted[] = { 0, 9, 22, 30, 112, 149 };
	enum { WANTED = sizeof(wanted) / sizeof(wanted[0]) };
	uint8_t proof[WANTED + 1];
	uint64_t cost_ns[WANTED];
	proof[WANTED] = 99;
	struct blockz_source source = bytes_source(file.bytes);
	struct blockz_work work = { .threads = 2 };
	const struct codec_env env = { 0 };
	struct proofs proofs = { &source, &file.blocks, &env, wanted, WANTED, proof, cost_ns, NULL };
	ck_assert_int_eq(prove_blocks(&proofs, &work, NULL), BLOCKZ_OK);
	for (size_t i = 0; i < WANTED; i++)
		ck_assert_int_eq(proof[i], file.expected[wanted[i]]);
	ck_assert_int_eq(proof[WANTED], 99);
	proofs.count = 0;
	ck_assert_int_eq(prove_blocks(&proofs, &work, NULL), BLOCKZ_OK);
	blocks_free(&file.blocks);
}
END_TEST

static bool refuse(void *ctx, uint64_t in, uint64_t out)
{
	unsigned *calls = ctx;
	ck_assert_uint_ge(in, out);
	return ++*calls < 40;
}

START_TEST(work_can_fail_or_be_interrupted)
{
	struct sample_file file;
	sample_file_init(&file);
	uint8_t proof[BLOCKS];
	uint64_t cost_ns[BLOCKS];
	unsigned calls = 0;
	struct flaky_source flaky = { .bytes = file.bytes, .fail_at = 1 };
	struct blockz_source source = bytes_source(file.bytes), broken = flaky_source(&flaky);
	struct blockz_work work = { .threads = (unsigned)_i, .progress = refuse, .progress_ctx = &calls }, quiet = {
		.threads = (unsigned)_i,
	};
	const struct codec_env env = { 0 };
	struct proofs proofs = { &source, &file.blocks, &env, file.wanted, BLOCKS, proof, cost_ns, NULL };
	ck_assert_int_eq(prove_blocks(&proofs, &work, NULL), BLOCKZ_FAILED);
	ck_assert_uint_eq(calls, 40);
	proofs.file = &broken;
	for (; flaky.fail_at < BLOCKS; flaky.fail_at += 37, flaky.reads = 0)
		ck_assert_int_eq(prove_blocks(&proofs, &quiet, NULL), BLOCKZ_FAILED);
	blocks_free(&file.blocks);
}
END_TEST

int main(void)
{
	TCase *c = case_new("prove");
	tcase_add_loop_test(c, proofs_do_not_depend_on_threads, 1, 9);
	tcase_add_test(c, only_what_is_wanted_is_proved);
	tcase_add_loop_test(c, work_can_fail_or_be_interrupted, 1, 4);
	return case_run("prove", c);
}
