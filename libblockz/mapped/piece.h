/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reading one piece of a mapped file: what extract, verify, edits and readers have in common.
 *
 * What makes and reads a file that has a map lives in mapped/: packing, reading and verifying.  It calls formats by their rows,
 * and the pool for what takes long.  It knows no format by its name, and never writes to a file that is there.
 */
#ifndef MAPPED_PIECE_H
#define MAPPED_PIECE_H

#include "format/format.h"

enum {
	PIECE_MEMORY_MAX = 32 << 20, /* pieces larger than this are decoded in parts, */
	PIECE_FILE_MAX = PIECE_MEMORY_MAX + (PIECE_MEMORY_MAX >> 10), /* or than this in the file: what does not compress has headers */
	RAW_PART_MAX = 1 << 20,      /* raw bytes and zeros are handled in parts of about this size */
};

/* What decodes, for one thread at a time; it holds memory for the longest piece that it has read. */
struct piece_reader {
	const struct blockz_source *file;
	const struct blockz_map *map;
	void *decoder;
	void *cursor; /* NULL until a long piece is read */
	bool strict; /* as in struct encoded_piece; false at first */
	bool written; /* raw pieces were written to since the map was read; false at first */
	struct buffer in;
	struct buffer zeros;    /* the bytes of a zero piece that was decoded and found zero */
	size_t zeros_len;       /* 0: none yet */
	uint64_t zeros_image_len; /* what it decoded to */
	unsigned zeros_padding;
};

/* Returns false without memory; then there is nothing to free.  The file and the map must live as long as the reader. */
bool piece_reader_init(struct piece_reader *reader, const struct blockz_source *file, const struct blockz_map *map);
void piece_reader_free(struct piece_reader *reader);

/* One on the heap, for the threads of a pool.  NULL: no memory. */
void *piece_reader_new(const struct blockz_source *file, const struct blockz_map *map);
void piece_reader_delete(void *reader);

/* Returns how many bytes of the image a piece is, with all its copies. */
uint64_t piece_image_len(const struct blockz_map *map, size_t index);
/* No check tells whether a piece was damaged before: neither one inside of it, nor one that the map has of it. */
bool piece_is_unverified(const struct piece *piece, const struct format *format);
/* Returns true for a piece that is decoded in parts, not into memory as a whole. */
bool piece_is_long(const struct blockz_map *map, size_t index);

/*
 * Decodes a piece that is not long, of one copy, to out, which has room for its image length and DECODE_SLACK, and compares
 * its CRC if the map has one.  crc_ret: the check of what was decoded by the piece's
 * method, if that is linear; may be NULL.
 */
enum blockz_status piece_decode(struct piece_reader *reader, const struct piece *piece, uint64_t image_len, uint8_t *out,
				uint64_t *crc_ret, struct blockz_fault *fault);

/*
 * The same in steps, if the format has such: as decode_step() of struct format has it, with its `step`.  A piece that is there to
 * its end was compared as above.
 */
enum blockz_status piece_decode_step(struct piece_reader *reader, const struct piece *piece, uint64_t image_len, void *step,
				     uint8_t *out, size_t wanted, size_t *made_ret, struct blockz_fault *fault);

/* Gets image bytes in order; returns false to have no more. */
typedef bool (*decode_emit)(void *ctx, const uint8_t *bytes, size_t len);

/* Decodes a piece of one copy in parts, with bounded memory, to its end or until emit wants no more. */
enum blockz_status piece_decode_long(struct piece_reader *reader, const struct piece *piece, uint64_t image_len,
				     decode_emit emit, void *ctx, struct blockz_fault *fault);

/* Compares the check of a piece's image bytes, its field, with that in the map, if it has one. */
enum blockz_status piece_compare_crc(const struct piece *piece, const uint8_t *field, struct blockz_fault *fault);

/*
 * Proves that copies [first, first + count) of a zero piece are zeros: one is decoded, the others have the same bytes.
 */
enum blockz_status piece_prove_zeros(struct piece_reader *reader, size_t index, uint64_t first, uint64_t count,
				     struct blockz_fault *fault);

/* Reads image bytes [start, end), all in raw spans, to out; the memory needed is theirs once more. */
enum blockz_status piece_read_raw(struct piece_reader *reader, uint64_t start, uint64_t end, uint8_t *out,
				  struct blockz_fault *fault);

/* The headers of a raw piece are as the format lays them out. */
enum blockz_status piece_check_layout(struct piece_reader *reader, size_t index, struct blockz_fault *fault);

/*
 * Reads a whole raw piece: its headers must be as the format lays them out, and the checks over it right.  Where it may have
 * been written to, the map's check of it, unless it is linear, is one of the past, and the caller compares that in the file.
 */
enum blockz_status piece_read_raw_checked(struct piece_reader *reader, size_t index, uint8_t *out,
					  uint64_t *crc_ret, struct blockz_fault *fault);

#endif
