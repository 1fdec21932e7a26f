/* SPDX-License-Identifier: BSD-3-Clause */
/* Constants of gzip (RFC 1952), and of the index that blockz keeps in a gzip header. */
#ifndef FORMAT_GZIP_LAYOUT_H
#define FORMAT_GZIP_LAYOUT_H

#include <stdint.h>

/* RFC 1952, section 2.3: the member header. */
enum {
	GZIP_ID1 = 0x1f,
	GZIP_ID2 = 0x8b,
	GZIP_CM_DEFLATE = 8,
	GZIP_FHCRC = 1 << 1,
	GZIP_FEXTRA = 1 << 2,
	GZIP_FNAME = 1 << 3,
	GZIP_FCOMMENT = 1 << 4,
	GZIP_FLG_RESERVED = 0xe0,
	GZIP_OS_UNKNOWN = 255,
	GZIP_HEAD_LEN = 10,    /* ID1 ID2 CM FLG MTIME(4) XFL OS */
	GZIP_XLEN_LEN = 2,     /* behind it with FEXTRA */
	GZIP_SUBFIELD_LEN = 4, /* SI1 SI2 LEN(2) */
	GZIP_TRAILER_LEN = 8,  /* CRC32(4) ISIZE(4) */
};

/*
 * The index: subfield "BZ" of FEXTRA; blockz-index(5) has an example.  Little-endian; a varint is 7 bits a byte, low ones
 * first, the highest bit set on all but the last byte.
 *
 *    0  version u8: 1, or 2, below; 0 says that the room is there and no index in it
 *    1  flags u8: bit 0: there are CRCs of data pieces too
 *    2  encoder u8 (enum deflate_encoder), 3  level u8: who wrote the pieces
 *    4  image size u64
 *   12  file size u64
 *   20  the 8 bytes of the trailer
 *   28  log2 of the piece size u8
 *   29  count of entries, varint
 *       entries: varint(length in the file << 2 | type), and by type
 *         0 data   ends at the next multiple of the piece size, or with the image
 *         1 raw    varint(image length)
 *         2 zero   a whole piece of zeros, as often as varint(count) says, the length being that of one
 *         3 short  data that ends elsewhere: varint(image length)
 *       CRC-32 u32 of each raw piece (raw entries are cut at multiples of the piece size), and of each data piece
 *         where the flag says so, in the order of the image
 *       zeros
 *   -4  CRC-32 u32 of all that stands before it in the subfield's data
 *
 * Version 2 is for what does not fit.  Pieces are still cut at multiples of the piece size, but an entry of data is a group of
 * them: all that follow each other up to a multiple of the group size.  Where they end within the group is shown by the file
 * (format/deflate/flushes.h).  Raw pieces may be longer than others, and there are no CRCs of data.  What differs:
 *
 *   28  log2 of the piece size u8, 29  of the group size u8, 30  of the size of raw pieces u8
 *   31  count of entries, varint
 *       entries: 0 and 3 end at, and before, the next multiple of the group size
 *       raw entries are cut at multiples of the size of raw pieces
 *
 * Another program may use the same two letters.  A subfield is an index if its CRC-32 is right; it is a damaged one if
 * it is not, but the file size or the copy of the trailer, 8 bytes each, is that of the file: no damage in one place
 * changes both, and no other program has either.  Any other subfield, and all in a header with a CRC of its own (FHCRC),
 * which would not follow edits, is none of ours: it is passed over, and stays as it is when the file is edited, without ever
 * coming to look right.
 */
enum {
	INDEX_SI1 = 'B',
	INDEX_SI2 = 'Z',
	INDEX_VERSION_NONE = 0,
	INDEX_VERSION_PIECES = 1,
	INDEX_VERSION_GROUPS = 2,
	INDEX_FLAG_DATA_CRCS = 1 << 0,
	INDEX_VERSION_OFF = 0,
	INDEX_FLAGS_OFF = 1,
	INDEX_ENCODER_OFF = 2,
	INDEX_LEVEL_OFF = 3,
	INDEX_IMAGE_SIZE_OFF = 4,
	INDEX_FILE_SIZE_OFF = 12,
	INDEX_TRAILER_OFF = 20,
	INDEX_PIECE_LOG_OFF = 28,
	INDEX_COUNT_OFF = 29,
	INDEX_GROUP_LOG_OFF = 29, /* here and below of version 2 */
	INDEX_RAW_LOG_OFF = 30,
	INDEX_GROUPS_COUNT_OFF = 31,
	INDEX_CRC_LEN = 4,
	INDEX_LEN_MIN = INDEX_COUNT_OFF + 1 + INDEX_CRC_LEN,
	INDEX_XLEN_MAX = 16384, /* BusyBox 1.35 reads no longer FEXTRA */
	INDEX_LEN_MAX = INDEX_XLEN_MAX - GZIP_SUBFIELD_LEN,
	INDEX_PIECE_LOG_MIN = 16,
	INDEX_PIECE_LOG_MAX = 23,
	INDEX_GROUP_LOG_MAX = 62, /* an image is shorter than 2^63 bytes */
};

enum index_type { INDEX_DATA = 0, INDEX_RAW = 1, INDEX_ZERO = 2, INDEX_SHORT = 3 };

/* The powers of two at whose multiples an index has the image cut; all are the same in version 1. */
struct index_cuts {
	uint64_t piece, group, raw;
};

#endif
