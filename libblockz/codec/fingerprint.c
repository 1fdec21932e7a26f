/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A fingerprint is the first 16 bytes of the SHA-256 of: for each length of the codec's list, the first so many
 * bytes of the probe (probe.c) encoded, as their length in 8 bytes, little-endian, and themselves.
 */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "check/sha256.h"
#include "codec/codec.h"
#include "codec/codec_faults.h"
#include "codec/probe.h"

enum { PROBE_LENS = sizeof(((struct codec *)NULL)->probe_lens) / sizeof(uint32_t) };

static size_t longest(const struct codec *codec)
{
	size_t len = 0;
	for (size_t i = 0; i < PROBE_LENS; i++)
		if (codec->probe_lens[i] > len)
			len = codec->probe_lens[i];
	return len;
}

static enum blockz_status hash_encoded(const struct codec_env *env, const struct codec_params *params,
				       const uint8_t *probe, struct sha256 *digest, struct blockz_fault *fault)
{
	struct codec_contexts contexts = { .env = env };
	struct buffer out = { 0 };
	const uint32_t *lens = codec_at(params->codec)->probe_lens;
	enum blockz_status status = BLOCKZ_OK;
	for (size_t i = 0; i < PROBE_LENS && lens[i] != 0; i++) {
		uint8_t field[8];
		size_t len = 0;
		status = codec_encode(&contexts, params, probe, lens[i], &out, &len, fault);
		store_le64(field, len);
		if (status != BLOCKZ_OK)
			break;
		sha256_update(digest, field, sizeof(field));
		sha256_update(digest, out.bytes, len);
	}
	buffer_free(&out);
	codec_contexts_free(&contexts);
	return status;
}

enum blockz_status codec_fingerprint(const struct codec_env *env, const struct codec_params *params,
				     uint8_t fingerprint_ret[CODEC_FINGERPRINT_LEN], struct blockz_fault *fault)
{
	const struct codec *codec = codec_at(params->codec);
	if (codec == NULL || !codec_params_are_valid(params))
		return fault_set(fault, BLOCKZ_UNSUPPORTED, BLOCKZ_UNKNOWN, "an encoder that is not known");
	struct codec_params probed = *params;
	for (size_t i = 0; i < CODEC_VALUES_MAX; i++)
		if ((codec->free_values >> i & 1) != 0)
			probed.values[i] = codec->probe_values[i];
	uint8_t sum[SHA256_LEN];
	size_t len = longest(codec);
	uint8_t *probe = malloc(len);
	struct sha256 digest = { 0 };
	enum blockz_status status = BLOCKZ_OK;
	if (probe == NULL || !sha256_start(&digest)) {
		status = fault_nomem(fault);
		goto out;
	}
	probe_make(probe, len);
	status = hash_encoded(env, &probed, probe, &digest, fault);
	if (status == BLOCKZ_OK && !sha256_finish(&digest, sum))
		status = fault_nomem(fault);
	if (status == BLOCKZ_OK)
		memcpy(fingerprint_ret, sum, CODEC_FINGERPRINT_LEN);
out:
	sha256_free(&digest);
	free(probe);
	return status;
}
