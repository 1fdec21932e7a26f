/* SPDX-License-Identifier: BSD-3-Clause */
/* A client holds a section with its decoders, parts of NEW and blocks of OLD; each of its threads a block, and what encodes it. */
#include "delta/file/client.h"

#include "base/checked.h"
#include "codec/codec.h"

uint64_t client_memory(const struct client_load *load, unsigned threads)
{
	static const uint64_t shared_max = 48 << 20;
	uint64_t longest = load->old_longest > load->new_longest ? load->old_longest : load->new_longest;
	uint64_t shared = min(shared_max, 2 * load->new_len + 4 * longest);
	return shared + 2 * load->old_longest + threads * (load->encoder + CODEC_CONTEXTS_MEMORY);
}
