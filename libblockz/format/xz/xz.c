/* SPDX-License-Identifier: BSD-3-Clause */
/* The row of xz: .xz files of one Stream, whose pieces are Blocks. */
#include <inttypes.h>
#include <string.h>

#include "base/fault.h"
#include "format/format.h"
#include "format/xz/encode.h"
#include "format/xz/layout.h"
#include "format/xz/patch.h"
#include "format/xz/read.h"
#include "format/xz/scan.h"
#include "format/xz/write.h"

enum {
	PIECE_SIZE_MIN = 64 << 10,
	PIECE_SIZE_MAX = 1 << 30,
	PIECE_SIZE_XZ_MIN = 1 << 20, /* the least Block that xz -T makes */
	RAW_SIZE_MAX = 1 << 20,      /* with SHA-256, hashed again by each patch; costs 30 bytes each */
};

static bool matches(const uint8_t *head, size_t len)
{
	static const uint8_t magic[STREAM_MAGIC_LEN] = { 0xfd, '7', 'z', 'X', 'Z', 0 };
	return len >= sizeof(magic) && memcmp(head, magic, sizeof(magic)) == 0;
}

/* As xz -T chooses: three dictionaries. */
static uint64_t default_piece_size(uint32_t preset)
{
	lzma_options_lzma options;
	if (lzma_lzma_preset(&options, preset) || options.dict_size < PIECE_SIZE_XZ_MIN / 3)
		return PIECE_SIZE_XZ_MIN;
	return 3 * (uint64_t)options.dict_size;
}

static enum blockz_status choose_params(struct pack_params *params, struct blockz_fault *fault)
{
	if (params->piece_size == 0)
		params->piece_size = default_piece_size(xz_preset(params));
	if (params->piece_size % PIECE_SIZE_MIN != 0)
		return fault_set(fault, BLOCKZ_USAGE, BLOCKZ_UNKNOWN, "piece size %" PRIu64 ": xz needs a multiple of %d",
				 params->piece_size, PIECE_SIZE_MIN);
	params->raw_size = params->piece_size < RAW_SIZE_MAX ? params->piece_size : RAW_SIZE_MAX;
	return BLOCKZ_OK;
}

static const char *const checks[] = { "crc64", "crc32", "sha256", "none", NULL };

const struct format format_xz = {
	.public = {
		.name = "xz",
		.suffix = ".xz",
		.level_min = 0,
		.level_max = 9,
		.level_default = 6,
		.piece_size_min = PIECE_SIZE_MIN,
		.piece_size_max = PIECE_SIZE_MAX,
		.checks = checks,
		.advice = "nbdkit --filter=xz file FILE xz-max-block=SIZE serves it read-only",
	},
	.piece_noun = "xz Block",
	.matches = matches,
	.choose = choose_params,
	.encoder_memory = xz_encoder_memory,
	.writer_new = xz_writer_new,
	.writer_free = xz_writer_free,
	.write_head = xz_write_head,
	.write_piece = xz_write_piece,
	.write_tail = xz_write_tail,
	.encoder_new = xz_encoder_new,
	.encoder_free = xz_encoder_free,
	.encode = xz_encode,
	.map = xz_map,
	.decoder_new = xz_decoder_new,
	.decoder_free = xz_decoder_free,
	.decode = xz_decode,
	.decode_long = xz_decode_long,
	.layout = xz_layout,
};
