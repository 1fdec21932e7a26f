/* SPDX-License-Identifier: BSD-3-Clause */
/* The row of xz: .xz files of one Stream, whose pieces are Blocks. */
#include <string.h>

#include "format/format.h"
#include "format/xz/cursor.h"
#include "format/xz/edge.h"
#include "format/xz/encode.h"
#include "format/xz/fill.h"
#include "format/xz/layout.h"
#include "format/xz/patch.h"
#include "format/xz/read.h"
#include "format/xz/renew.h"
#include "format/xz/scan.h"
#include "format/xz/splice.h"
#include "format/xz/unpack.h"
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
static uint64_t default_piece_size(const struct pack_params *params)
{
	lzma_options_lzma options;
	if (lzma_lzma_preset(&options, xz_preset(params)) || options.dict_size < PIECE_SIZE_XZ_MIN / 3)
		return PIECE_SIZE_XZ_MIN;
	return 3 * (uint64_t)options.dict_size;
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
	},
	.piece_noun = "xz Block",
	.matches = matches,
	.has_extreme = true,
	.raw_size_max = RAW_SIZE_MAX,
	.default_piece_size = default_piece_size,
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
	.decode_step = xz_decode_step,
	.step_len = sizeof(struct xz_unpacked),
	.cursor_new = xz_cursor_new,
	.cursor_free = xz_cursor_free,
	.cursor_start = xz_cursor_start,
	.cursor_next = xz_cursor_next,
	.layout = xz_layout,
	.renew_levels = xz_renew_levels,
	.renew_ns = XZ_RENEW_NS,
	.renew_params = xz_renew_params,
	.fill = xz_fill,
	.renew_index = xz_renew_index,
	.cut = xz_cut,
	.find_edge = xz_find_edge,
	.splice = xz_splice,
	.splice_ns = 25,
};
