/* SPDX-License-Identifier: BSD-3-Clause */
/* Every kind of image goes through a codec and back, and a block is damaged in each of its bits. */
#include "codecs.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "format/format.h"

struct bytes encode_block(struct codec_contexts *contexts, const struct codec_params *params, struct bytes plain)
{
	struct buffer out = { 0 };
	struct blockz_fault fault = { 0 };
	size_t len = 0;
	enum blockz_status status = codec_encode(contexts, params, plain.data, plain.len, &out, &len, &fault);
	ck_assert_msg(status == BLOCKZ_OK, "%s", fault.text);
	struct bytes packed = bytes_copy((struct bytes){ out.bytes, len });
	buffer_free(&out);
	return packed;
}

enum blockz_status decode_block(struct codec_contexts *contexts, unsigned codec, struct bytes packed, size_t out_len,
				struct bytes *plain_ret)
{
	/* Of malloc(), so that a sanitizer sees what is written behind them. */
	uint8_t *bytes = malloc(packed.len + DECODE_SLACK), *out = malloc(out_len + DECODE_SLACK);
	memcpy(bytes, packed.data, packed.len);
	enum blockz_status status = codec_decode(contexts, codec, bytes, packed.len, out, out_len, NULL);
	if (status == BLOCKZ_OK)
		*plain_ret = bytes_copy((struct bytes){ out, out_len });
	free(bytes);
	free(out);
	return status;
}

void assert_round_trips(struct codec_contexts *contexts, const struct codec_params *params)
{
	static const size_t lens[] = { 1, 2, 3, 17, 255, 4095, 4096, 8192, 65537, 131072, 300001 };
	static const enum image_kind kinds[] = { IMAGE_TEXT, IMAGE_DISK, IMAGE_NOISE, IMAGE_ZEROS };
	const struct codec *codec = codec_at(params->codec);
	for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
		for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
			struct bytes plain = image_new(kinds[k], lens[i]), decoded = { 0 };
			struct bytes packed = encode_block(contexts, params, plain);
			if (packed.len == 0) {
				ck_assert_msg(kinds[k] == IMAGE_NOISE || kinds[k] == IMAGE_DISK || lens[i] < 4095, "%s: %zu", codec->name, lens[i]);
				continue;
			}
			ck_assert(codec->may_make == NULL || codec->may_make(params->values, packed.data, packed.len));
			ck_assert_int_eq(decode_block(contexts, params->codec, packed, plain.len, &decoded), BLOCKZ_OK);
			assert_bytes(decoded, plain);
		}
	}
}

static void decode_damaged(struct codec_contexts *contexts, unsigned codec, struct bytes packed, size_t out_len)
{
	struct bytes decoded = { 0 };
	enum blockz_status status = decode_block(contexts, codec, packed, out_len, &decoded);
	ck_assert_msg(status == BLOCKZ_OK || status == BLOCKZ_DAMAGED || status == BLOCKZ_LIMIT, "%d", (int)status);
}

void assert_bears_damage(struct codec_contexts *contexts, const struct codec_params *params)
{
	struct bytes plain = image_new(IMAGE_TEXT, 700), decoded = { 0 };
	struct bytes packed = encode_block(contexts, params, plain);
	ck_assert_uint_gt(packed.len, 0);
	for (size_t bit = 0; bit < 8 * packed.len; bit++) {
		packed.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
		decode_damaged(contexts, params->codec, packed, plain.len);
		packed.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	for (size_t len = 0; len < packed.len; len++)
		if (decode_block(contexts, params->codec, (struct bytes){ packed.data, len }, plain.len, &decoded) == BLOCKZ_OK)
			assert_bytes(decoded, plain);
	static const int more[] = { -699, -1, 1, 70000 };
	for (size_t i = 0; i < sizeof(more) / sizeof(more[0]); i++)
		ck_assert_int_eq(decode_block(contexts, params->codec, packed, (size_t)(700 + more[i]), &decoded), BLOCKZ_DAMAGED);
	/* What came before leaves no trace. */
	ck_assert_int_eq(decode_block(contexts, params->codec, packed, plain.len, &decoded), BLOCKZ_OK);
	assert_bytes(decoded, plain);
}
