/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Codecs of single blocks, each a const row.  What an encoder makes of a block is decided by its parameters and by its
 * version; the former are small integers that a delta carries, the latter shows in a fingerprint.
 *
 * A context belongs to one thread and is used for any blocks and parameters in turn; it keeps what is costly to set up.
 *
 * Codecs call the libraries that compress, and the rows of formats; they see memory alone, never a file, and know nothing of
 * containers and deltas.
 */
#ifndef CODEC_CODEC_H
#define CODEC_CODEC_H

#include "base/buffer.h"
#include "blockz_delta.h"

enum {
	CODEC_BLOCK_MAX = 32 << 20, /* longer blocks are plain bytes */
	CODEC_VALUES_MAX = 8,
	CODEC_FINGERPRINT_LEN = 16,
	CODEC_NAME_MAX = 96,
};

/* These numbers stand in deltas. */
enum codec_id {
	CODEC_STORED = 0,    /* the bytes themselves */
	CODEC_ZLIB = 1,      /* RFC 1950: SquashFS gzip */
	CODEC_LZMA = 2,      /* .lzma: SquashFS lzma */
	CODEC_XZ = 3,        /* .xz, one Block: SquashFS xz */
	CODEC_ZSTD = 4,      /* one frame as of ZSTD_compressCCtx(): SquashFS zstd */
	CODEC_LZO = 5,       /* SquashFS lzo; through struct blockz_lzo */
	CODEC_LZ4 = 6,       /* LZ4 block: SquashFS lz4 */
	CODEC_GZIP_PIECE = 7, /* these three: a piece of a mapped file, as format/ encodes it */
	CODEC_XZ_PIECE = 8,
	CODEC_ZSTD_PIECE = 9,
	CODEC_COUNT,
};

/* The values of each codec, by their places; CODEC_VALUES_MAX at most. */
enum { ZLIB_LEVEL, ZLIB_WINDOW, ZLIB_STRATEGY }; /* 1..9; log2, 8..15; as zlib counts them, 0..4 */
enum { LZMA_LEVEL, LZMA_EXTREME, LZMA_LC, LZMA_LP, LZMA_PB, LZMA_DICT, LZMA_BCJ }; /* of CODEC_LZMA and CODEC_XZ */
enum { ZSTD_LEVEL };                     /* 1..22 */
enum { LZO_ALGORITHM, LZO_LEVEL, LZO_OPTIMISE }; /* see struct blockz_lzo_method; level: 1..9 for lzo1x_999, else 0 */
enum { LZ4_LEVEL };                      /* 0: fast; else that of LZ4 HC, 1..12 */
enum { GZIP_PIECE_LEVEL };               /* as of struct pack_params, and so for the next two */
enum { XZ_PIECE_LEVEL, XZ_PIECE_EXTREME, XZ_PIECE_CHECK, XZ_PIECE_SIZE, XZ_PIECE_HEADER }; /* see xz_piece.h */
enum { ZSTD_PIECE_LEVEL, ZSTD_PIECE_CHECKSUM, ZSTD_PIECE_STREAM };

/* ZSTD_PIECE_STREAM: a frame in one call, or as a stream in two ways. */
enum { ZSTD_STREAM_NONE, ZSTD_STREAM_WORKERS, ZSTD_STREAM_PARTS, ZSTD_STREAM_COUNT };

/* LZMA_BCJ; the SquashFS flags' bits plus one. */
enum { BCJ_NONE, BCJ_X86, BCJ_POWERPC, BCJ_IA64, BCJ_ARM, BCJ_ARMTHUMB, BCJ_SPARC, BCJ_ARM64, BCJ_RISCV, BCJ_COUNT };

struct blocks;
struct blockz_map;
struct format;

/* What codecs need from outside. */
struct codec_env {
	const struct blockz_lzo *lzo; /* NULL: no LZO */
};

struct codec {
	const char *name; /* "zlib" */
	const char *squashfs_name; /* what SquashFS calls it; NULL: the same */
	/* Names of the values, such as "level"; NULL ends. */
	const char *const *value_names;
	/*
	 * Values that do not choose between algorithms, such as the size of a dictionary: bit i for value i.  They are left
	 * out of the encoder's name, and its fingerprint is made with the probe's own: see codec_fingerprint().
	 */
	unsigned free_values;
	uint32_t probe_values[CODEC_VALUES_MAX];
	uint32_t max_values[CODEC_VALUES_MAX]; /* of those that are not free; not all up to there are valid */
	uint32_t probe_lens[4]; /* the probe's prefixes that are encoded; 0 ends */
	/* NULL, or: two sets of values are one encoder, under two names.  Both are valid. */
	bool (*are_same)(const uint32_t *a, const uint32_t *b);
	/* Values of these ranges only, so that no delta asks for more memory than a known program would. */
	bool (*are_valid)(const uint32_t *values);

	/*
	 * NULL, or: by its header the block may have been made with these values.  False saves encoding it to see; without
	 * memory to look at the header it is true.
	 */
	bool (*may_make)(const uint32_t *values, const uint8_t *bytes, size_t len);

	/* NULL, or: bytes of memory that encoding so long a block takes, its bytes before and after it included. */
	uint64_t (*encoder_memory)(const uint32_t *values, uint32_t plain_len);
	/* NULL, or: encoding is the work of another thread, whose time does not count as that of the caller. */
	bool (*has_thread)(const uint32_t *values);

	/* NULL, or: the format whose pieces it makes; suggest is not NULL then. */
	const struct format *format;
	/*
	 * Adds to blocks, which lists the compressed pieces of a mapped file, the parameters with which they may have been
	 * made, the likeliest first.  Errors: BLOCKZ_DAMAGED, BLOCKZ_UNSUPPORTED, BLOCKZ_FAILED.
	 */
	enum blockz_status (*suggest)(const struct blockz_source *file, const struct blockz_map *map, struct blocks *blocks,
				      struct blockz_fault *fault);

	/* Makes a context, for context_free(); env has to outlive it.  NULL: no memory. */
	void *(*context_new)(const struct codec_env *env);
	void (*context_free)(void *context);
	/*
	 * Encodes a block as the known programs do, with as much room for the result as they give.  out is grown as needed.
	 * *len_ret 0: the encoder said that the result does not fit.
	 */
	enum blockz_status (*encode)(void *context, const uint32_t *values, const uint8_t *plain, size_t plain_len,
				     struct buffer *out, size_t *len_ret, struct blockz_fault *fault);
	/*
	 * Decodes a block to exactly out_len bytes; out has DECODE_SLACK (format/format.h) bytes more, which may be written to.
	 * Errors: BLOCKZ_DAMAGED (also: another length), BLOCKZ_LIMIT, BLOCKZ_FAILED.
	 */
	enum blockz_status (*decode)(void *context, const uint8_t *bytes, size_t len, uint8_t *out, size_t out_len,
				     struct blockz_fault *fault);
};

extern const struct codec codec_stored, codec_zlib, codec_lzma, codec_xz, codec_zstd, codec_lzo, codec_lz4,
	codec_gzip_piece, codec_xz_piece, codec_zstd_piece;

/* The row of an enum codec_id, or NULL. */
const struct codec *codec_at(unsigned id);

/* The enum codec_id of the codec that makes the pieces of a format; CODEC_COUNT: there is none. */
unsigned codec_of_format(const struct format *format);

struct codec_params {
	uint8_t codec;
	uint32_t values[CODEC_VALUES_MAX]; /* zeros behind the last that the codec has */
};

bool codec_params_are_equal(const struct codec_params *a, const struct codec_params *b);
bool codec_params_are_valid(const struct codec_params *params); /* the codec exists and has such values */

/* The encoder's name, without free values: "xz bcj=1 lc=3 lp=0 pb=2". */
void codec_encoder_name(const struct codec_params *params, char name_ret[CODEC_NAME_MAX]);

/* Bytes of memory that encoding a block of plain_len bytes takes, its own bytes before and after included. */
uint64_t codec_encoder_memory(const struct codec_params *params, uint32_t plain_len);

/*
 * What tells two versions of an encoder apart: the first bytes of the SHA-256 of what it makes of a fixed probe, its
 * free values replaced by the row's own.  Errors: BLOCKZ_UNSUPPORTED (this library has no such encoder), BLOCKZ_FAILED.
 */
enum blockz_status codec_fingerprint(const struct codec_env *env, const struct codec_params *params,
				     uint8_t fingerprint_ret[CODEC_FINGERPRINT_LEN], struct blockz_fault *fault);

/* Contexts of one thread, made when they are first needed. */
struct codec_contexts {
	const struct codec_env *env;
	void *contexts[CODEC_COUNT];
};

/* Frees the contexts that there are; the struct is the caller's. */
void codec_contexts_free(struct codec_contexts *contexts);

/* Bytes that a thread's contexts take as a rule, without what grows with blocks. */
enum { CODEC_CONTEXTS_MEMORY = 2 << 20 };

/*
 * As encode() and decode() of the codec's row, in the thread's context.  Errors besides: BLOCKZ_UNSUPPORTED (no such codec,
 * or LZO without blockz-lzo), BLOCKZ_DAMAGED (a length or values that no block has).
 */
enum blockz_status codec_encode(struct codec_contexts *contexts, const struct codec_params *params,
				const uint8_t *plain, size_t plain_len, struct buffer *out, size_t *len_ret,
				struct blockz_fault *fault);
enum blockz_status codec_decode(struct codec_contexts *contexts, unsigned codec, const uint8_t *bytes, size_t len,
				uint8_t *out, size_t out_len, struct blockz_fault *fault);

#endif
