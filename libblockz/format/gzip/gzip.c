/* SPDX-License-Identifier: BSD-3-Clause */
#include "format/format.h"
#include "format/gzip/deflate.h"
#include "format/gzip/layout.h"
#include "format/gzip/patch.h"
#include "format/gzip/scan.h"
#include "format/gzip/walk.h"
#include "format/gzip/write.h"

static bool matches(const uint8_t *head, size_t len)
{
	return len >= 2 && head[0] == GZIP_ID1 && head[1] == GZIP_ID2;
}

const struct format format_gzip = {
	.public = {
		.name = "gzip",
		.suffix = ".gz",
		.level_min = 1,
		.level_max = 12,
		.level_default = 6,
		.piece_size_min = (uint64_t)1 << INDEX_PIECE_LOG_MIN,
		.piece_size_max = (uint64_t)1 << INDEX_PIECE_LOG_MAX,
		.piece_size_default = (uint64_t)1 << 20, /* 1.3 ms to decode; smaller ones cost size */
	},
	.matches = matches,
	.writer_new = gzip_writer_new,
	.writer_free = gzip_writer_free,
	.write_head = gzip_write_head,
	.write_piece = gzip_write_piece,
	.write_tail = gzip_write_tail,
	.rewrite_head = gzip_rewrite_head,
	.encoder_new = deflate_encoder_new,
	.encoder_free = deflate_encoder_free,
	.encode = deflate_encode,
	.map = gzip_map,
	.decoder_new = deflate_decoder_new,
	.decoder_free = deflate_decoder_free,
	.decode = deflate_decode,
	.decode_long = deflate_decode_long,
	.framing = gzip_framing,
	.before = gzip_before,
	.reach = WALK_WINDOW,
};
