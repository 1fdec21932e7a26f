/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The map: where the image lies in the file, and which checks stand over it.
 *
 * In range/ live ranges, maps, plans and edits, as data: it calls check/ and base/, and reads and writes no file.
 *
 * Three arrays, pieces and spans in ascending order, are all that reading, patching and verifying need to know of a file:
 *
 *   pieces   gap-free cover of the image by pieces, which decode on their own
 *   spans    the raw bytes: where in the file payload stands unencoded
 *   checks   fields over an interval of the image or of the file
 */
#ifndef RANGE_MAP_H
#define RANGE_MAP_H

#include "blockz.h"
#include "check/method.h"

enum {
	MAP_ITEMS_MAX = 1 << 20, /* of each array: 32 or 40 bytes each, so a hostile file costs at most 112 MiB */
	PIECE_COPIES_MAX = (1 << 23) - 1,
};

struct piece {
	uint64_t start;    /* image offset; it ends where the next piece starts */
	uint64_t file_off; /* of its first byte */
	uint64_t file_len;
	uint32_t crc;      /* where has_crc: check of its image bytes that its own do not hold, by a method of four bytes */
	uint32_t kind : 2; /* enum blockz_kind; BLOCKZ_COMPRESSED may have raw spans inside */
	uint32_t has_crc : 1;
	uint32_t method : 3; /* enum check_method of the checks over its bytes */
	uint32_t ends_stream : 1; /* holds the end-of-stream mark, which other pieces lack */
	uint32_t padding : 2; /* bytes in each copy that an index does not count: xz Block Padding */
	uint32_t copies : 23; /* BLOCKZ_ZERO: so many equal pieces, one behind the other, of equal lengths; else 1 */
};

struct span {
	uint64_t start, end; /* image offsets */
	/*
	 * Without a stride the payload is contiguous and starts here.  With one it is cut at the image's multiples of
	 * stride, a header of the same length stands before each part, and the first header is here.
	 */
	uint64_t file_off;
	uint32_t stride;
	uint16_t header_len;
	bool patchable;
};

/*
 * A field that stands for bytes.  Over image bytes, linear ones may cover several pieces, all of the same method; others
 * cover exactly one.  Over file bytes the field stands behind every other field that it covers.
 */
struct check {
	uint64_t start, end;
	uint64_t field_off; /* file offset */
	enum check_method method;
	bool of_file; /* start and end are file offsets */
};

struct format;

struct blockz_map {
	const struct format *format;
	uint64_t file_size, image_size;
	uint64_t end_off;        /* file offset behind the stream: file_size, unless the format has found another */
	uint64_t appended_bytes; /* from there on; 0: nothing, or padding */
	/*
	 * Compressed items are groups of pieces, which end at the image's multiples of this, and with the item; where in the file they
	 * do is not known yet.  0: there are no groups.
	 */
	uint64_t group_cut;
	uint64_t window_max; /* what a decoder may keep of bytes before; for format->decoder_new() */
	bool raw_only; /* of what is compressed, a format may leave more to whoever decodes it */
	enum blockz_index index;
	struct blockz_fault index_fault; /* why an index that is there was not used; status BLOCKZ_OK: no such thing */
	struct piece *pieces;
	struct span *spans;
	struct check *checks;
	size_t piece_count, span_count, check_count;
};

/* An empty map, for blockz_map_free().  NULL: no memory. */
struct blockz_map *map_new(const struct format *format, uint64_t file_size);

/* These append; the order of the arrays is asserted in them and nowhere else.  Errors: BLOCKZ_LIMIT, BLOCKZ_FAILED. */
enum blockz_status map_add_piece(struct blockz_map *map, const struct piece *piece, struct blockz_fault *fault);
/*
 * Appends a piece of image_len zeros, or several copies in file_len bytes; those that are alike and stand side by side become
 * one item.  Whoever serves or verifies it as zeros proves it.
 */
enum blockz_status map_add_zero(struct blockz_map *map, const struct piece *piece, uint64_t image_len,
				struct blockz_fault *fault);
enum blockz_status map_add_span(struct blockz_map *map, const struct span *span, struct blockz_fault *fault);
enum blockz_status map_add_check(struct blockz_map *map, const struct check *check, struct blockz_fault *fault);

/* Forgets everything appended. */
void map_clear(struct blockz_map *map);

/* The image offset behind a piece. */
uint64_t map_piece_end(const struct blockz_map *map, size_t index);

/* How many pieces an item is, be they copies or a group; and whether it is a group of more than one. */
uint64_t map_pieces_of(const struct blockz_map *map, size_t index);
bool map_is_group(const struct blockz_map *map, size_t index);

/* The image offset behind the piece, the copy of one, or the piece of a group that contains image offset off. */
uint64_t map_edge_behind(const struct blockz_map *map, uint64_t off);

/* The piece that contains image offset off, which must be within the image. */
size_t map_find_piece(const struct blockz_map *map, uint64_t off);

/* The file offset behind the pieces, and copies of pieces, that lie before an image offset at the edge of one; 0: none does. */
uint64_t map_file_end(const struct blockz_map *map, uint64_t off);

/* The file offset of the piece, or copy of one, that begins at an image offset. */
uint64_t map_file_off(const struct blockz_map *map, uint64_t off);

/* Sorts the checks, those over the image by start, for map_find_check(); to be called when the map is complete. */
void map_sort_checks(struct blockz_map *map);

/* The first check over image bytes that starts at image offset off or behind it; those over file bytes are the last. */
size_t map_find_check(const struct blockz_map *map, uint64_t off);

/* True if the check covers exactly the image bytes of one piece, and its field stands among that piece's bytes. */
bool map_check_is_inside(const struct blockz_map *map, const struct check *check);

/* The first span that ends behind image offset off; span_count if there is none. */
size_t map_find_span(const struct blockz_map *map, uint64_t off);

/* True if [start, end) of the image lies in patchable spans. */
bool map_is_patchable(const struct blockz_map *map, uint64_t start, uint64_t end);

/* The contiguous part of a span from image offset off (within it) on. */
struct blockz_extent span_extent(const struct span *span, uint64_t off);

/*
 * Makes a span (empty at first: start == end) longer by part, contiguous bytes behind it, where one span can express both:
 * they are contiguous in the file too, or blocks cut at multiples of stride with headers of header_len between them.
 */
bool span_join(struct span *span, const struct span *part, uint32_t stride, uint16_t header_len);

/* File offset behind the last byte of a span. */
uint64_t span_file_end(const struct span *span);

#endif
