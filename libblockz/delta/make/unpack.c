/* SPDX-License-Identifier: BSD-3-Clause */
/* Decoders may write behind what they decode, and behind what they read: both buffers have room for that. */
#include "delta/make/unpack.h"

#include <stdlib.h>

#include "base/fault.h"
#include "format/format.h"
#include "io/access.h"

struct unpacker {
	const struct image *image;
	struct codec_contexts contexts;
	struct buffer packed, plain;
};

struct unpacker *unpacker_new(const struct image *image, const struct codec_env *env)
{
	struct unpacker *unpacker = calloc(1, sizeof(*unpacker));
	if (unpacker != NULL) {
		unpacker->image = image;
		unpacker->contexts.env = env;
	}
	return unpacker;
}

void unpacker_free(void *memory)
{
	struct unpacker *unpacker = memory;
	if (unpacker == NULL)
		return;
	codec_contexts_free(&unpacker->contexts);
	buffer_free(&unpacker->packed);
	buffer_free(&unpacker->plain);
	free(unpacker);
}

/* A block as it stands in the file, decoded, and once more in a decoder. */
uint64_t unpacker_memory(uint64_t longest)
{
	return 3 * longest + CODEC_CONTEXTS_MEMORY;
}

enum blockz_status unpack(struct unpacker *unpacker, const struct block *block, const uint8_t **plain_ret,
			  struct blockz_fault *fault)
{
	if (!buffer_reserve(&unpacker->packed, (size_t)block->file_len) ||
	    !buffer_reserve(&unpacker->plain, (size_t)block->plain_len + DECODE_SLACK))
		return fault_nomem(fault);
	enum blockz_status status = read_data(&unpacker->image->file, unpacker->packed.bytes, block->file_len,
					      block->file_off, unpacker->image->subject, fault);
	if (status != BLOCKZ_OK)
		return status;
	status = codec_decode(&unpacker->contexts, block->codec, unpacker->packed.bytes, block->file_len,
			      unpacker->plain.bytes, block->plain_len, fault);
	if (status == BLOCKZ_DAMAGED && fault != NULL)
		fault->offset = block->file_off;
	if (status != BLOCKZ_OK)
		return fault_about(fault, status, unpacker->image->subject);
	*plain_ret = unpacker->plain.bytes;
	return BLOCKZ_OK;
}
