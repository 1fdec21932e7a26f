/* SPDX-License-Identifier: BSD-3-Clause */
/* Constants of xz (xz-file-format 1.1) and of LZMA2, which is described only in code. */
#ifndef FORMAT_XZ_LAYOUT_H
#define FORMAT_XZ_LAYOUT_H

#include <lzma.h>

/* The Stream: Stream Header, Blocks, Index, Stream Footer, and perhaps Stream Padding. */
enum {
	STREAM_HEADER_LEN = LZMA_STREAM_HEADER_SIZE, /* of the footer too */
	STREAM_MAGIC_LEN = 6,
	BLOCK_HEADER_LEN_MAX = LZMA_BLOCK_HEADER_SIZE_MAX,
	INDEX_INDICATOR = 0, /* stands where a Block Header would tell its size */
	INDEX_CRC_LEN = 4,
	ALIGNMENT = 4, /* of Blocks and the Index */
};

/* LZMA2 chunks: a control byte, then sizes minus one, big-endian. */
enum {
	CHUNK_END = 0x00,
	CHUNK_RAW_RESET = 0x01, /* uncompressed, and the dictionary is reset: the first of a Block */
	CHUNK_RAW = 0x02,
	CHUNK_LZMA = 0x80,       /* bits 4-0: bits 20-16 of the uncompressed size */
	CHUNK_LZMA_PROPS = 0xC0, /* from here on a byte of properties follows */
	CHUNK_LZMA_RESET = 0xE0, /* from here on the dictionary is reset too */
	CHUNK_END_LEN = 1,
	CHUNK_RAW_HEADER_LEN = 3,
	CHUNK_LZMA_HEADER_LEN = 5,
	PROPERTIES_DEFAULT = (2 * 5 + 0) * 9 + 3, /* (pb * 5 + lp) * 9 + lc, of all presets */
	PROPERTIES_MAX = (4 * 5 + 4) * 9 + 8,
	RAW_PAYLOAD = 65536, /* the most that a raw chunk holds; cut at its multiples in the image */
	RAW_RUN_MIN = 4096,  /* shorter runs in other programs' files are not worth a place in a map */
};

#endif
