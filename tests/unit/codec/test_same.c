/* SPDX-License-Identifier: BSD-3-Clause */
/* Encoders that are the same by their values: what they make, and what is said about them. */
#include <check.h>
#include <string.h>

#include "blockz_delta.h"
#include "codecs.h"
#include "images.h"

enum { LEVELS = 10, PRESETS = 2 * LEVELS };

/* Of which the first two values are a preset. */
static const uint8_t codecs[] = { CODEC_LZMA, CODEC_XZ, CODEC_XZ_PIECE };

enum { CODECS = sizeof(codecs) / sizeof(codecs[0]) };

static struct codec_params preset(uint8_t codec, size_t i)
{
	struct codec_params params = { .codec = codec };
	memcpy(params.values, codec_at(codec)->probe_values, sizeof(params.values));
	params.values[LZMA_LEVEL] = (uint32_t)i / 2;
	params.values[LZMA_EXTREME] = (uint32_t)i % 2;
	return params;
}

START_TEST(the_same_make_the_same)
{
	struct codec_contexts contexts = { 0 };
	const struct codec *codec = codec_at(codecs[_i]);
	struct bytes image = image_new(IMAGE_TEXT, 100 * KIB), made[PRESETS];
	size_t same = 0;
	for (size_t i = 0; i < PRESETS; i++) {
		struct codec_params params = preset(codecs[_i], i);
		made[i] = encode_block(&contexts, &params, image);
		for (size_t j = 0; j <= i; j++) {
			struct codec_params other = preset(codecs[_i], j);
			if (!codec->are_same(params.values, other.values))
				continue;
			same++;
			assert_bytes(made[j], made[i]);
		}
	}
	codec_contexts_free(&contexts);
	ck_assert_uint_gt(same, PRESETS);
	ck_assert_uint_lt(same, PRESETS * PRESETS / 2);
}
END_TEST

/* Those of CODEC_LZMA follow each other, and each is listed with its own fingerprint, probed or not. */
static bool compare(void *ctx, const struct blockz_encoder *encoder)
{
	size_t *count = ctx;
	const struct codec_env env = { 0 };
	struct codec_params params = preset(CODEC_LZMA, *count);
	char name[CODEC_NAME_MAX];
	uint8_t fingerprint[CODEC_FINGERPRINT_LEN];
	codec_encoder_name(&params, name);
	if (strcmp(name, encoder->name) != 0)
		return *count == 0;
	ck_assert_int_eq(codec_fingerprint(&env, &params, fingerprint, NULL), BLOCKZ_OK);
	ck_assert_msg(memcmp(fingerprint, encoder->fingerprint, sizeof(fingerprint)) == 0, "%s", name);
	return ++*count < PRESETS;
}

START_TEST(each_is_listed_with_its_fingerprint)
{
	size_t count = 0;
	const struct blockz_work work = { .threads = (unsigned)_i };
	ck_assert_int_eq(blockz_encoders(NULL, compare, &count, &work, NULL), BLOCKZ_OK);
	ck_assert_uint_eq(count, PRESETS);
}
END_TEST

int main(void)
{
	TCase *c = case_new("same");
	tcase_add_loop_test(c, the_same_make_the_same, 0, CODECS);
	tcase_add_loop_test(c, each_is_listed_with_its_fingerprint, 1, 3);
	return case_run("same", c);
}
