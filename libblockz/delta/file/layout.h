/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How a delta is written down; blockz-delta(5) describes it in full.  Little-endian.
 *
 *   head      fixed fields, encoders, texts, check
 *   record O  OLD's blocks
 *   record S  a section; any number of these
 *   record E  totals; nothing follows
 *
 * A check is the CRC-32 of all bytes of the delta before it, other checks left out.  So a record that is good by itself is
 * refused where it does not belong.  A varint is 7 bits a byte, low ones first, the highest bit set in all but the last, in
 * as few bytes as can be.
 */
#ifndef DELTA_FILE_LAYOUT_H
#define DELTA_FILE_LAYOUT_H

/* A byte of more than 7 bits, a line end of each kind, and what ends a text: see the PNG specification, section 12.12. */
#define DELTA_MAGIC "\x89" "BZD\r\n\x1a\n"

enum {
	DELTA_MAGIC_LEN = 8,
	DELTA_VERSION = 1,
	DELTA_CHECK_LEN = 4,

	HEAD_VERSION_OFF = 8,   /* u16 */
	HEAD_LEN_OFF = 10,      /* u16: of the head, its check included */
	HEAD_FEATURES_OFF = 12, /* u32: bit i set: a reader has to know feature i; there are none so far */
	HEAD_OLD_SIZE_OFF = 16, /* u64, as the next */
	HEAD_NEW_SIZE_OFF = 24,
	HEAD_OLD_SHA256_OFF = 32,
	HEAD_NEW_SHA256_OFF = 64,
	HEAD_FIXED_LEN = 96, /* then the encoders: a varint, how many; of each: codec u8, count of values u8, values (varints),
				fingerprint; then three texts, the containers' names and the note: length u8, UTF-8 */

	RECORD_OLD = 'O',
	RECORD_SECTION = 'S',
	RECORD_END = 'E',
	RECORD_FIXED_LEN = 3, /* type u8, u16: length of the record's head, its check included */
	RECORD_HEAD_MAX = 512,
	/* O: count of blocks, and then its streams; S: length of the stream, counts of ops and blocks, and its streams;
	   E: counts of sections, ops and blocks.  All varints; a stream is method u8, coded and plain length. */
	/* Behind the head of O and S: the coded streams one behind the other, check. */
};

enum stream_method {
	STREAM_NONE = 0,  /* the bytes themselves */
	STREAM_LZMA2 = 1, /* raw LZMA2, ended by its control byte 0 */
	STREAM_ZSTD = 2,  /* one frame */
	STREAM_METHOD_COUNT,
};

/* Streams of record O; the first three are varints, the last bytes. */
enum {
	OLD_GAPS,       /* from the end of the block before, or 0, to the start of this */
	OLD_FILE_LENS,
	OLD_PLAIN_LENS,
	OLD_CODECS,
	OLD_STREAM_COUNT,
};

/* Streams of record S; all but kinds, encoders and the last three are varints. */
enum {
	SECTION_BEFORES, /* of blocks: see struct delta_new_block */
	SECTION_PLAIN_LENS,
	SECTION_FILE_LENS,
	SECTION_ENCODERS,
	SECTION_KINDS, /* of ops */
	SECTION_LENS,
	/*
	 * Of COPY and ADD: where they begin in OLD's space, less where the last of them ended (0 for a section's first),
	 * modulo 2^64, as a signed number: 0, -1, 1, -2, ... are 0, 1, 2, 3, ...
	 */
	SECTION_SEEKS,
	SECTION_DIFF,
	SECTION_EXTRA,
	SECTION_PACKED,
	SECTION_STREAM_COUNT,
};

enum {
	STREAM_COUNT_MAX = SECTION_STREAM_COUNT,
	/*
	 * What a stream's decoder may look back is the least power of two that is not below the stream's plain length,
	 * within these; that of diff and extra may be DELTA_DICTIONARY_MAX.
	 */
	STREAM_DICTIONARY_MIN = 4096,
	STREAM_DICTIONARY_MAX = 1 << 20,
};

#endif
