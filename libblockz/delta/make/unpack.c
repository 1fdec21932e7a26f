/* SPDX-License-Identifier: BSD-3-Clause */
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

void *unpacker_new(const struct image *image, const struct codec_env *env)
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

enum blockz_status unpack(struct unpacker *unpacker, const struct block *block, const uint8_t **plain_ret,
			  struct blockz_fault *fault)
{
	if (!buffer_reserve(&unpacker->packed, (size_t)block->file_len + DECODE_SLACK) ||
	    !buffer_reserve(&unpacker->plain, (size_t)block->plain_len + DECODE_SLACK))
		return fault_nomem(fault);
	enum blockz_status status =
		read_data(&unpacker->image->file, unpacker->packed.bytes, block->file_len, block->file_off,
			  unpacker->image->subject, fault);
	if (status == BLOCKZ_OK)
		status = codec_decode(&unpacker->contexts, block->codec, unpacker->packed.bytes, block->file_len,
				      unpacker->plain.bytes, block->plain_len, fault);
	if (status == BLOCKZ_DAMAGED && fault != NULL)
		fault->offset = block->file_off;
	fault_about(fault, status, unpacker->image->subject);
	if (status == BLOCKZ_OK)
		*plain_ret = unpacker->plain.bytes;
	return status;
}
