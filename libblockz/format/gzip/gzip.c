/* SPDX-License-Identifier: BSD-3-Clause */
/* The row of gzip: .gz files of one deflate stream, whose pieces end with a full flush. */
#include "format/deflate/cursor.h"
#include "format/deflate/decode.h"
#include "format/deflate/edge.h"
#include "format/deflate/encode.h"
#include "format/deflate/fill.h"
#include "format/deflate/flushes.h"
#include "format/deflate/splice.h"
#include "format/deflate/walk.h"
#include "format/format.h"
#include "format/gzip/ending.h"
#include "format/gzip/layout.h"
#include "format/gzip/patch.h"
#include "format/gzip/renew.h"
#include "format/gzip/scan.h"
#include "format/gzip/write.h"

enum {
	PIECE_SIZE_DEFAULT = 1 << 20,  /* 1.3 ms to decode; smaller ones cost size */
	ENCODER_MEMORY = 10 << 20, /* libdeflate's compressor at its highest level, and the walker */
	RENEW_NS = 40,             /* most pieces by level 7, some of them by 10 */
};

static bool matches(const uint8_t *head, size_t len)
{
	return len >= 2 && head[0] == GZIP_ID1 && head[1] == GZIP_ID2;
}

static uint64_t encoder_memory(const struct pack_params *params)
{
	/* A piece as it was read, and encoded twice, since as many as there are threads wait for their turn; libdeflate's. */
	return 3 * params->piece_size + ENCODER_MEMORY;
}

static const char *const checks[] = { "crc32", NULL };

/* Of pieces of a disk image by level 6, with 4 KiB of noise over them, 7 made 12 in 100 fit, and 10 made 98. */
static const int renew_levels[] = { 7, 10, 12, 0 };

const struct format format_gzip = {
	.public = {
		.name = "gzip",
		.suffix = ".gz",
		.level_min = 1,
		.level_max = 12,
		.level_default = 5,
		.piece_size_min = (uint64_t)1 << INDEX_PIECE_LOG_MIN,
		.piece_size_max = (uint64_t)1 << INDEX_PIECE_LOG_MAX,
		.piece_size_default = PIECE_SIZE_DEFAULT,
		.checks = checks,
	},
	.piece_noun = "gzip stream",
	.is_one_stream = true,
	.matches = matches,
	.pieces_are_powers = true,
	.raw_size_max = UINT64_C(1) << INDEX_PIECE_LOG_MAX,
	.encoder_memory = encoder_memory,
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
	.find_ends = deflate_find_ends,
	.cursor_new = deflate_cursor_new,
	.cursor_free = deflate_cursor_free,
	.cursor_start = deflate_cursor_start,
	.cursor_next = deflate_cursor_next,
	.cursor_mark = deflate_cursor_mark,
	.cursor_resume = deflate_cursor_resume,
	.layout = gzip_layout,
	.before = gzip_before,
	.reach = WALK_WINDOW,
	.renew_levels = renew_levels,
	.renew_ns = RENEW_NS,
	.renew_params = gzip_renew_params,
	.fill = deflate_fill,
	.renew_index = gzip_renew_index,
	.cut = gzip_cut,
	.find_edge = deflate_find_edge,
	.splice = deflate_splice,
	.splice_ns = 3,
};
