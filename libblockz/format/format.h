/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A format as one const row of functions.  Others find it by name or magic (format/formats.h) and ask nothing else about
 * it; the functions see memory, sources and maps, and know no threads and no other format.
 *
 * Writing: one writer a file sees the pieces in order and makes what stands before and behind them; encoders, one a
 * thread, turn the bytes of one piece into its encoding in any order.
 *
 * Renewing: pieces of a file that is there, whoever wrote it, are encoded again after an edit.  Either each is filled up to
 * its old length, or the file changes its length, and what stands in it of lengths is made anew.
 */
#ifndef FORMAT_FORMAT_H
#define FORMAT_FORMAT_H

#include "base/buffer.h"
#include "blockz.h"
#include "range/map.h"

enum { CODING_LEN = 32 };

/* What blockz_pack() was asked for, with the format's own defaults filled in; or what a piece is encoded again with. */
struct pack_params {
	int level;
	bool extreme;
	enum check_method check;
	uint64_t piece_size, raw_size; /* pieces are cut at multiples of them, in compressed and in raw parts */
	uint64_t image_size;           /* BLOCKZ_UNKNOWN for a stream */
	size_t raw_count;              /* how many raw ranges there are */
	bool no_index, rewritable;     /* of the options, and of the sink */
	uint64_t window_max;           /* bytes of history that a decoder of a piece may have to keep; 0: as the level has it */
	uint8_t coding[CODING_LEN];    /* for a format's own encoders, by its renew_params; zeros when packing */
};

/* One piece, or a run of zero pieces, as it was written. */
struct written_piece {
	enum blockz_kind kind;
	uint64_t start, end; /* image offsets */
	uint64_t file_len;   /* of the whole run */
	uint64_t copies;     /* as in struct piece */
	uint64_t tag; /* of the encoding of one */
};

/* The image bytes of one piece, for an encoder. */
struct plain_piece {
	const uint8_t *bytes;
	size_t len;
	uint64_t start; /* image offset of the first of them; raw blocks are cut at the image's multiples of their payload */
	bool raw;
	bool ends_stream; /* the end-of-stream mark stands behind it, where that is part of a piece */
};

/* What an encoder has made of them.  Whoever has the struct, zeros at first, frees out. */
struct encoding {
	struct buffer out; /* grown as needed */
	size_t len;        /* so much of it is used */
	uint64_t tag;      /* what the writer wants to know beside the length: a checksum, or padding */
};

/* Decoders write a piece to a buffer with so many writable bytes behind what it holds. */
enum { DECODE_SLACK = 320 };

/* The file's bytes of one piece, for a decoder; of a run of zero pieces, those of one. */
struct encoded_piece {
	const uint8_t *bytes;
	size_t len;
	uint64_t file_off;
	enum check_method method; /* this and the next as in struct piece */
	bool ends_stream;
	unsigned padding; /* as in struct piece */
	bool strict; /* refuse what not every decoder takes, which may take longer to find */
};

/* A group, for who looks for its pieces. */
struct group {
	struct blockz_range bytes, image; /* of the file, and of the image */
	uint64_t cut; /* its pieces end at the image's multiples of it */
};

/* A piece that was encoded again, for what else in the file speaks of it. */
struct renewed_piece {
	size_t piece;      /* its item in the map */
	uint64_t copy;     /* which of the item's copies */
	uint64_t file_len; /* now */
	uint64_t tag;      /* of its encoding */
	uint32_t check;    /* of its image bytes now, by the piece's method, if that has four bytes; else 0 */
};

/* Where a long piece can end early: behind one of its blocks. */
struct piece_edge {
	uint64_t off;      /* in the image; the start of the piece: it cannot */
	uint64_t file_off; /* of the byte that has the first bit behind the block; */
	unsigned bits;     /* so many bits of this byte stand before that */
	uint64_t last_off; /* file offset of the block's header */
	uint8_t check[CHECK_LEN_MAX]; /* of the piece up to there, if the check is a part of the piece */
};

/* An image that is to end elsewhere: pieces of the map from `kept` on, the image offset of the edge of one, are left out. */
struct ending {
	uint64_t kept;
	bool continues; /* new pieces follow */
	bool is_open;   /* the piece before was encoded again without the end-of-stream mark that it had */
	const struct piece_edge *edge; /* NULL, or kept is this edge, inside of a piece */
};

/* Where its file is cut. */
struct file_cut {
	uint64_t off; /* what stands before it stays, but for pieces that were encoded again; new pieces go here */
	uint64_t end; /* what stands from here on stays, too: it is no part of the stream */
	uint64_t covered; /* up to this image offset, `kept` or more, bytes are covered by a check that has to follow */
	enum check_method method; /* of new pieces */
	uint64_t piece_size; /* they have to be cut at its multiples; 0: any size will do */
	uint8_t lead[8 + CHECK_LEN_MAX]; /* what is put before the new pieces, so that they can follow */
	size_t lead_len;
	uint64_t open_off;  /* file offset of a byte before off that is to be open_byte, so that they can; 0: there is none */
	uint8_t open_byte;
};

/* What comes behind the pieces that stay. */
struct new_end {
	const struct file_cut *cut;
	uint64_t kept, image_size;
	const struct written_piece *pieces; /* new ones, ascending from kept on */
	size_t count;
	uint64_t file_len; /* of them all */
	const struct piece_edge *edge; /* as in struct ending */
	uint32_t dropped_crc; /* CRC-32 of the old image from kept to cut->covered */
};

/* Pieces that were encoded again, ascending, and the file that they will be part of. */
struct renewal {
	/*
	 * The old file, with the fields of checks as they will be: of payload, and of pieces that were encoded again, there is
	 * the old content.  All offsets are the old ones.
	 */
	const struct blockz_source *file;
	const struct blockz_map *map;
	const struct renewed_piece *pieces; /* never NULL */
	size_t count;
	uint64_t file_size; /* of the new file; with a new end, without what is still to be put behind its pieces */
	const struct new_end *end; /* NULL: the image keeps its size */
	/* Takes new bytes for those of the old file in a range, which need not be as many.  Errors: BLOCKZ_FAILED. */
	enum blockz_status (*replace)(void *ctx, struct blockz_range old, const uint8_t *bytes, size_t len,
				      struct blockz_fault *fault);
	void *ctx;
};

/* An edit inside of a piece that is too long, or too dear, to be encoded again as a whole. */
struct piece_edit {
	const struct blockz_source *file;
	const struct blockz_map *map;
	size_t piece; /* its item in the map, of one copy */
	const struct blockz_range *ranges; /* of the image, in the piece: what may differ.  Ascending, apart, none empty */
	size_t count;
	bool keep_length; /* what is replaced must stay as long as it was */
	uint32_t *check_ret; /* NULL, or gets what is said in struct renewed_piece, of a check that is not linear */
	uint64_t *tag_ret; /* gets what is said in struct renewed_piece, if that is not 0 */
	/* Puts the new bytes over len old ones of the image from off on.  Errors: BLOCKZ_FAILED. */
	enum blockz_status (*lay_over)(void *ctx, uint8_t *bytes, size_t len, uint64_t off, struct blockz_fault *fault);
	/* As in struct renewal; in any order. */
	enum blockz_status (*replace)(void *ctx, struct blockz_range old, const uint8_t *bytes, size_t len,
				      struct blockz_fault *fault);
	/* Tells of len bytes of the image from off on that differ, for checks that are linear; in ascending order. */
	enum blockz_status (*changed)(void *ctx, uint64_t off, const uint8_t *old, const uint8_t *new, size_t len,
				      struct blockz_fault *fault);
	void *ctx;
};

struct format {
	struct blockz_format public;
	const char *piece_noun; /* for people: what one piece is, "zstd frame" */
	bool is_one_stream;     /* pieces are parts of one stream, and the last of them ends it; else each stands alone */

	/* True if a file that begins with these bytes is of this format. */
	bool (*matches)(const uint8_t *head, size_t len);

	bool has_extreme;       /* its levels can be extreme */
	bool pieces_are_powers; /* sizes of pieces are powers of two; else multiples of public.piece_size_min */
	uint64_t raw_size_max;  /* raw pieces are cut at this, or like others, whichever is smaller */
	/* By level and extreme, where nothing was asked for.  NULL: public.piece_size_default. */
	uint64_t (*default_piece_size)(const struct pack_params *params);
	/* Bytes of memory that one encoder takes, its piece included. */
	uint64_t (*encoder_memory)(const struct pack_params *params);

	/*
	 * Write.  out buffers are grown as needed and *len_ret tells how much of them is used.  All of it is NULL, and so
	 * are the functions above and encode, in a format that is read only.
	 */
	void *(*writer_new)(const struct pack_params *params);
	void (*writer_free)(void *writer);
	enum blockz_status (*write_head)(void *writer, struct buffer *out, size_t *len_ret, struct blockz_fault *fault);
	enum blockz_status (*write_piece)(void *writer, const struct written_piece *piece, struct blockz_fault *fault);
	/* *index_piece_size_ret: image bytes a piece of the index, if that stands here; 0 for none. */
	enum blockz_status (*write_tail)(void *writer, struct buffer *out, size_t *len_ret,
					 uint64_t *index_piece_size_ret, struct blockz_fault *fault);
	/* NULL, or: the head once more, of the same length, with what is known now; 0 bytes: it stays.  The index as above. */
	enum blockz_status (*rewrite_head)(void *writer, struct buffer *out, size_t *len_ret,
					   uint64_t *index_piece_size_ret, struct blockz_fault *fault);

	void *(*encoder_new)(const struct pack_params *params);
	void (*encoder_free)(void *encoder);
	/* Encodes a piece, raw or compressed.  Errors: BLOCKZ_FAILED. */
	enum blockz_status (*encode)(void *encoder, const struct plain_piece *plain, struct encoding *encoding,
				     struct blockz_fault *fault);

	/*
	 * Scan: fills an empty map, by the index (map->index says so) unless scan is set.  Of checks that the decoder
	 * verifies, those over pieces with patchable bytes are enough; where a check stands twice, the copies are compared.
	 */
	enum blockz_status (*map)(const struct blockz_source *file, bool scan, struct blockz_map *map,
				  struct blockz_fault *fault);

	/* Read. */
	/* window_max: bytes of history, more of which are refused with BLOCKZ_LIMIT. */
	void *(*decoder_new)(uint64_t window_max);
	void (*decoder_free)(void *decoder);
	/*
	 * Decodes a piece to exactly out_len bytes, verifies the checks that stand in it, and shows that its bytes alone leave
	 * a decoder of the whole stream at a block's boundary: success alone does not (ARCHITECTURE, invariant 1).  out has
	 * DECODE_SLACK bytes more, which may be written to.
	 */
	enum blockz_status (*decode)(void *decoder, const struct encoded_piece *encoded, uint8_t *out, size_t out_len,
				     struct blockz_fault *fault);
	/*
	 * NULL, or the same in steps, for who wants the first bytes alone.  Decodes at least `wanted` of them, and as many more
	 * as it takes to show that they are right, which need not be by the check behind all: *made_ret, from the beginning of
	 * the piece.  Where that is out_len, all that decode() verifies was verified.  out has what the steps before have made.
	 * step: step_len bytes in which the next step finds how far this one came, on any decoder; zeros at first, and after an
	 * error.
	 */
	enum blockz_status (*decode_step)(void *decoder, const struct encoded_piece *encoded, void *step, uint8_t *out,
					  size_t out_len, size_t wanted, size_t *made_ret, struct blockz_fault *fault);
	size_t step_len;
	/*
	 * NULL in a format whose maps have no groups, or: finds where the `count` pieces of one end in the file.
	 * *found_ret false: that cannot be told, and ends mean nothing.  Errors: BLOCKZ_DAMAGED (the file is shorter), BLOCKZ_FAILED.
	 */
	enum blockz_status (*find_ends)(const struct blockz_source *file, const struct group *group, uint64_t *ends, size_t count,
					bool *found_ret, struct blockz_fault *fault);
	/*
	 * Cursors decode pieces too large for memory, in parts, with bounded memory, each for one thread at a time.  NULL: no
	 * memory.  The file must live as long; window_max as above.
	 */
	void *(*cursor_new)(const struct blockz_source *file, uint64_t window_max);
	void (*cursor_free)(void *cursor);
	/*
	 * Goes to the beginning of a piece, of one copy.  Some formats take an image_len of BLOCKZ_UNKNOWN, to find it out.
	 * Errors: BLOCKZ_DAMAGED, BLOCKZ_UNSUPPORTED, BLOCKZ_LIMIT, BLOCKZ_FAILED.
	 */
	enum blockz_status (*cursor_start)(void *cursor, const struct piece *piece, uint64_t image_len,
					   struct blockz_fault *fault);
	/*
	 * Decodes some more of the piece: *len_ret bytes, which stay until the cursor is used again.  0: the piece has ended where
	 * it should, and its own checks match.  Errors as above; then it has to go elsewhere first.
	 */
	enum blockz_status (*cursor_next)(void *cursor, const uint8_t **bytes_ret, size_t *len_ret,
					  struct blockz_fault *fault);
	/*
	 * NULL in a format in which that would take too much: writes down how to go on from where the cursor stands, before
	 * the end of the piece, in some 32 KiB at most; out is grown as needed.  False: no memory.
	 */
	bool (*cursor_mark)(void *cursor, struct buffer *out, size_t *len_ret);
	/* Goes to where any cursor over the file was, in the same piece of the same image_len, when it made these bytes. */
	enum blockz_status (*cursor_resume)(void *cursor, const struct piece *piece, uint64_t image_len, const uint8_t *mark,
					    size_t len, struct blockz_fault *fault);

	/*
	 * Patch.  layout: bytes, all file_len of a raw piece, are as the format's writer lays raw pieces out, in everything
	 * but payload and checks: headers, block headers, padding.  NULL in a format whose maps have no raw pieces.
	 */
	enum blockz_status (*layout)(const struct blockz_map *map, size_t piece, const uint8_t *bytes,
				     struct blockz_fault *fault);
	/*
	 * NULL where pieces are independent of each other by format; else: what stands right before a span, whose first
	 * header is at file_off, keeps earlier matches apart from it.
	 */
	enum blockz_status (*before)(const struct blockz_source *file, const struct blockz_map *map, uint64_t file_off,
				     struct blockz_fault *fault);
	uint64_t reach; /* how far behind a raw range decoded bytes could still depend on it, were the map wrong */

	/* Renew.  All of it is NULL or 0 in a format whose pieces are not encoded again. */
	/*
	 * Levels by which a piece is encoded again until it is short enough, weakest first, 0 behind the last: measured ones,
	 * each of which makes most of what the one before does not fit.
	 */
	const int *renew_levels;
	unsigned renew_ns; /* what that takes on a CPU of today, for estimates: nanoseconds an image byte */
	/*
	 * What encoders need to make a piece of this file: all but the level, which is the one that the file says it was
	 * written with, or 0.  Errors: BLOCKZ_UNSUPPORTED (the piece is one that cannot be made), BLOCKZ_DAMAGED, BLOCKZ_FAILED.
	 */
	enum blockz_status (*renew_params)(const struct blockz_source *file, const struct blockz_map *map, size_t piece,
					   struct pack_params *params_ret, struct blockz_fault *fault);
	/*
	 * Makes an encoding exactly len bytes long by what every decoder passes over, with bounded cost to it.  *filled_ret:
	 * false where it is longer, or the difference is one that cannot be filled; then the encoding is as it was.
	 * Errors: BLOCKZ_FAILED (no memory).
	 */
	enum blockz_status (*fill)(struct encoding *encoding, size_t len, bool *filled_ret, struct blockz_fault *fault);
	/*
	 * Replaces what else in the file depends on lengths and contents of pieces that were encoded again: indexes, sizes in
	 * headers.  Fields of struct check that move by a difference, and what lies within pieces, are not its business, but
	 * for those within ranges that it replaces.  What cannot be kept right in the room that there is becomes less: an
	 * index without checks, none.  Errors: BLOCKZ_UNSUPPORTED (something of another program's would become wrong),
	 * BLOCKZ_LIMIT, BLOCKZ_FAILED.
	 */
	enum blockz_status (*renew_index)(const struct renewal *renewal, struct blockz_fault *fault);
	/*
	 * Finds where the file is cut for another ending of its image.  renew_index() then puts what stands behind the pieces at
	 * cut->end, and has the check that covers dropped bytes follow.  Errors: BLOCKZ_DAMAGED, BLOCKZ_LIMIT, BLOCKZ_FAILED.
	 */
	enum blockz_status (*cut)(const struct blockz_source *file, const struct blockz_map *map, const struct ending *ending,
				  struct file_cut *cut_ret, struct blockz_fault *fault);
	/*
	 * Finds the last place, not behind image offset limit in a piece of one copy, at which this can end early.  A check that is
	 * part of the piece is verified over all of it.  Errors: BLOCKZ_DAMAGED, BLOCKZ_LIMIT, BLOCKZ_FAILED.
	 */
	enum blockz_status (*find_edge)(const struct blockz_source *file, const struct blockz_map *map, size_t piece, uint64_t limit,
					struct piece_edge *edge_ret, struct blockz_fault *fault);
	/*
	 * NULL, or: encodes again as little of a piece as an edit needs, and keeps all else of it as it stands.  Replaces the checks
	 * inside of the piece; linear ones outside of it are the caller's, by what was told to have changed.  *done_ret false: with
	 * keep_length, it does not fit; or the piece is one that can only be encoded again as a whole.  What was replaced until
	 * then means nothing.
	 * Errors: BLOCKZ_DAMAGED (the old bytes do not decode, or their checks do not match), BLOCKZ_UNSUPPORTED, BLOCKZ_LIMIT,
	 * BLOCKZ_FAILED, and those of the callbacks.
	 */
	enum blockz_status (*splice)(const struct piece_edit *edit, bool *done_ret, struct blockz_fault *fault);
	unsigned splice_ns; /* what that takes for a short edit, as renew_ns: most of it is the decoding of the whole piece */
	uint64_t fit_ns;    /* and more with keep_length: nanoseconds for a piece that has several MiB */
};

#endif
