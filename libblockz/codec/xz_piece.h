/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Blocks of .xz files.  Values beside those of struct pack_params: XZ_PIECE_CHECK is an enum check_method, XZ_PIECE_SIZE a
 * piece_size, which bounds the dictionary, and XZ_PIECE_HEADER tells how the Block Header was laid out.  Liblzma's
 * encoder with threads leaves as much room for the sizes as those of its longest Block may need, whatever the Block; the
 * other one writes none, since it does not know them yet.
 */
#ifndef CODEC_XZ_PIECE_H
#define CODEC_XZ_PIECE_H

enum {
	XZ_HEADER_OWN = 0,  /* as blockz does */
	XZ_HEADER_BARE = 1, /* without sizes */
	/* Others are its length, and it has both sizes. */
	XZ_PIECE_SIZE_MIN = 64 << 10,
	XZ_PIECE_SIZE_MAX = 64 << 20,
};

#endif
