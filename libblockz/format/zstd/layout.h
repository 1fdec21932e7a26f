/* SPDX-License-Identifier: BSD-3-Clause */
/* Constants of zstd (RFC 8878) and of its seekable format (version 0.1.0), little-endian throughout. */
#ifndef FORMAT_ZSTD_LAYOUT_H
#define FORMAT_ZSTD_LAYOUT_H

#define FRAME_MAGIC        UINT32_C(0xFD2FB528)
#define SKIPPABLE_MAGIC    UINT32_C(0x184D2A50) /* and the 15 that follow */
#define SEEK_TABLE_MAGIC   UINT32_C(0x184D2A5E)
#define SEEKABLE_MAGIC     UINT32_C(0x8F92EAB1)

/* RFC 8878, sections 3.1.1 and 3.1.2. */
enum {
	MAGIC_LEN = 4,
	SKIPPABLE_HEAD_LEN = 8,     /* magic, Frame_Size(4) */
	FRAME_HEADER_LEN_MAX = 18,  /* magic, descriptor, window(1), dictionary ID(4), content size(8) */
	FHD_CONTENT_SIZE_SHIFT = 6, /* bits 7-6 of Frame_Header_Descriptor */
	FHD_SINGLE_SEGMENT = 1 << 5,
	FHD_RESERVED = 1 << 3,
	FHD_CHECKSUM = 1 << 2,
	FHD_DICTIONARY_MASK = 3,
	WINDOW_LOG_MIN = 10,
	CHECKSUM_LEN = 4,
	BLOCK_HEADER_LEN = 3, /* Last_Block, Block_Type(2 bits), Block_Size */
	BLOCK_MAX = 131072,   /* Block_Maximum_Size is this, or the window where that is smaller */
};

enum block_type { BLOCK_RAW = 0, BLOCK_RLE = 1, BLOCK_COMPRESSED = 2, BLOCK_RESERVED = 3 };

/*
 * A frame of raw blocks as blockz writes it: a window descriptor of 128 KiB, the least that lets a block have so many
 * bytes, a content size of 4 bytes, blocks cut at the image's multiples of 128 KiB.
 */
enum {
	RAW_WINDOW_DESCRIPTOR = (17 - WINDOW_LOG_MIN) << 3,
	RAW_DESCRIPTOR = 2 << FHD_CONTENT_SIZE_SHIFT,
	RAW_HEADER_LEN = 10,
	RAW_PAYLOAD = BLOCK_MAX,
	RAW_FRAME_MAX = 4 << 20, /* hashed again by each patch; a longer one is not handled whole, but block by block */
	RAW_RUN_MIN = 4096, /* shorter runs of raw blocks in other programs' files are not worth a place in a map */
};

/* The seek table, the last frame of the file: a skippable frame of entries and this footer. */
enum {
	SEEK_FOOTER_LEN = 9, /* Number_Of_Frames(4), Seek_Table_Descriptor, magic */
	SEEK_CHECKSUM_FLAG = 1 << 7,
	SEEK_RESERVED = 0x7c,
	SEEK_ENTRY_LEN = 8, /* compressed size(4), decompressed size(4), with the flag a checksum(4) more */
	SEEK_FRAMES_MAX = 0x8000000,
};

/* What pzstd writes before each frame: a skippable frame, SKIPPABLE_MAGIC, with the length of that frame(4). */
enum { LENGTH_LEN = 4, LENGTH_FRAME_LEN = SKIPPABLE_HEAD_LEN + LENGTH_LEN };

#endif
