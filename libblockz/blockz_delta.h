/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * libblockz, deltas: small updates between images.
 *
 * A delta makes the image NEW of the image OLD.  Images are taken apart into the blocks that were compressed one by one
 * (SquashFS with any compressor; .gz, .xz and .zst by their pieces), blocks that changed are compared by their
 * content, and the client compresses them again, byte for byte as they were.  That this works was proved for each block
 * when the delta was made; that the client's encoders work alike is found out, by their fingerprints, before it writes.
 */
#ifndef BLOCKZ_DELTA_H
#define BLOCKZ_DELTA_H

#include "blockz.h"

#ifdef __cplusplus
extern "C" {
#endif

/* How LZO compresses: algorithm and level as in the SquashFS compressor options (lzo1x_1 is 0, ..., lzo1x_999 is 4). */
struct blockz_lzo_method {
	unsigned algorithm;
	unsigned level;
	bool optimise; /* run the optimiser over the result */
};

/*
 * LZO, which this library does not contain because liblzo2 is licensed under the GPL.  Any thread may call any of them.
 * Each returns 0 or an errno value; EILSEQ: the block is damaged.
 */
struct blockz_lzo_ops {
	/* Compresses to at most room bytes.  *out_len_ret: the result's length; 0: it is longer than room. */
	int (*compress)(void *ctx, const struct blockz_lzo_method *method, const void *in, size_t len, void *out, size_t room,
			size_t *out_len_ret);
	/* Decompresses to exactly out_len bytes. */
	int (*decompress)(void *ctx, const void *in, size_t len, void *out, size_t out_len);
};

struct blockz_lzo {
	const struct blockz_lzo_ops *ops;
	void *ctx;
};

#define BLOCKZ_FINGERPRINT_LEN 16

/* An encoder with its parameters, and what tells its version from others. */
struct blockz_encoder {
	char name[96]; /* "zstd level=15" */
	uint8_t fingerprint[BLOCKZ_FINGERPRINT_LEN];
};

/*
 * Calls each() for all encoders that this library has, with all parameters that a delta may name; stops, and
 * returns BLOCKZ_OK, when each() returns false.  Takes some seconds, on all threads.  Errors: BLOCKZ_FAILED.
 */
enum blockz_status blockz_encoders(const struct blockz_lzo *lzo, bool (*each)(void *ctx, const struct blockz_encoder *),
				   void *ctx, const struct blockz_work *work, struct blockz_fault *fault);

/*
 * What is found while a delta is made, and spares work when it is applied to see whether it is right: blocks of NEW that an
 * encoder was seen to make.  They need not be encoded again where the same content comes out.  Some 32 bytes a block.
 */
struct blockz_proved_blocks;

/* Returns an empty list, for blockz_proved_blocks_free(), which takes NULL as well; NULL: no memory. */
struct blockz_proved_blocks *blockz_proved_blocks_new(void);
void blockz_proved_blocks_free(struct blockz_proved_blocks *proved);

struct blockz_delta_options {
	const struct blockz_lzo *lzo; /* NULL: LZO blocks are not taken apart */
	bool portable;                /* have the client encode nothing */
	/* If restricted, only encoders that stand here, with equal fingerprints, may be asked of the client. */
	bool restricted;
	const struct blockz_encoder *encoders;
	size_t encoder_count;
	uint64_t apply_budget_ms; /* CPU time for blocks at the client, OLD's and NEW's, as measured here; 0: no limit */
	/*
	 * Bytes that a process which does nothing else takes, the program's text not counted; 0: half of the machine's.
	 * Kept, as far as can be told before, by fewer threads and a smaller cache, and by searching OLD in windows.
	 */
	uint64_t memory;
	struct blockz_proved_blocks *proved; /* NULL, or filled by the call; it refers to the new image */
	struct blockz_work work;
};

struct blockz_delta_result {
	uint64_t old_size, new_size, delta_size;
	uint64_t blocks;     /* of NEW; the sum of: */
	uint64_t blocks_equal;     /* that OLD has, byte for byte */
	uint64_t blocks_encoded;   /* that the client encodes again */
	uint64_t blocks_stored;     /* that are not compressed, and are made of OLD and the delta like plain bytes */
	uint64_t blocks_packed;    /* that the delta brings compressed, */
	uint64_t blocks_unproved;  /* and of these, those of which no known encoder makes the same bytes */
	uint64_t encode_ms;        /* CPU time of encoding them, as measured here */
	unsigned windows;          /* in which OLD was searched, for short runs; for long ones in fewer, mostly in one */
	uint64_t window_size;      /* bytes of OLD's content in each */
	uint64_t memory;           /* the limit that was kept, and */
	uint64_t memory_wanted;     /* the one with which windows would have been as few as can be, one for 2 GiB of content: */
				   /* if it is not more than the other, the limit cost nothing */
	unsigned merge_threads;    /* with which blockz_merge() of this delta keeps to the limit as well */
};

/*
 * Writes a delta that makes new_image of old_image, both of known size.  Where the old one is longer than its container says
 * (a device, a padded file), what is behind counts for nothing.  The delta depends on the images and options alone, not
 * on threads, unless there is an apply_budget_ms; memory makes a difference where it makes other windows.
 * To be believed, a delta has to be applied: blockz_merge() without a sink does that, and with options.proved in less time.
 * Errors: BLOCKZ_FAILED, BLOCKZ_USAGE (of unknown size), BLOCKZ_LIMIT (memory is too little for
 * one thread and single blocks; it is about BLOCKZ_ABOUT_MEMORY, and the text tells the least that works).
 */
enum blockz_status blockz_delta(const struct blockz_source *old_image, const struct blockz_source *new_image,
				const struct blockz_sink *delta, const struct blockz_delta_options *options,
				struct blockz_delta_result *result_ret, struct blockz_fault *fault);

struct blockz_merge_options {
	const struct blockz_lzo *lzo; /* NULL: deltas that need it are refused */
	/* NULL, or of the delta that is applied: what has such content is read from the new image that it was made with. */
	const struct blockz_proved_blocks *proved;
	struct blockz_work work;
};

/* What a delta's head says. */
struct blockz_delta_info {
	uint64_t old_size, new_size;
	uint8_t old_sha256[32], new_sha256[32];
	char old_container[64], new_container[64];
	char note[128]; /* why blocks were not taken apart, or stay packed, where one would not expect it; or "" */
	size_t encoder_count;
	struct blockz_encoder encoders[64];
};

/* Reads the first 4 KiB of a delta, which may be a stream.  Errors: BLOCKZ_DAMAGED, BLOCKZ_UNSUPPORTED, BLOCKZ_FAILED. */
enum blockz_status blockz_delta_info(const struct blockz_source *delta, struct blockz_delta_info *info_ret,
				     struct blockz_fault *fault);

struct blockz_delta_part {
	char name[24];
	uint64_t coded, plain; /* bytes in the delta, and of what they hold */
};

struct blockz_delta_ops {
	uint64_t count, bytes;
};

/* What a delta consists of. */
struct blockz_delta_summary {
	uint64_t delta_size;
	uint64_t sections;
	uint64_t old_blocks; /* of OLD, that are decoded */
	uint64_t blocks, blocks_plain, blocks_coded; /* of NEW, that are encoded again: how many, bytes before and after */
	struct blockz_delta_ops copy, add, extra, packed; /* bytes as they are in OLD; changed ones; new content; new blocks */
	size_t part_count;
	struct blockz_delta_part parts[16];
};

/* Reads a whole delta, which may be a stream.  Errors: as above. */
enum blockz_status blockz_delta_summary(const struct blockz_source *delta, struct blockz_delta_summary *summary_ret,
					struct blockz_fault *fault);

/*
 * Whether a delta can be applied to old here: the encoders' fingerprints, OLD's size and digest.  Reads the first 4 KiB of
 * the delta, and OLD.  Errors: BLOCKZ_DAMAGED (not the OLD that the delta is for; the delta is damaged),
 * BLOCKZ_UNSUPPORTED (an encoder that is missing or of another version; unknown features), BLOCKZ_FAILED.
 */
enum blockz_status blockz_merge_check(const struct blockz_source *old, const struct blockz_source *delta,
				      const struct blockz_merge_options *options, struct blockz_fault *fault);

/*
 * Applies a delta, which may be a stream, to old, of known size, and appends NEW to the sink; NULL: to nowhere.  All that
 * blockz_merge_check() looks at is looked at before the first byte is written.  NEW's digest is compared at the end: what the
 * sink holds after an error is not NEW.  Memory: 64 MiB, and for each thread an encoder; more where blocks are so long that
 * two of OLD, and two of NEW with what they are encoded from, are not within 36 MiB: then 16 MiB for encoded ones beside them.
 * Errors: as above, and BLOCKZ_LIMIT.
 */
enum blockz_status blockz_merge(const struct blockz_source *old, const struct blockz_source *delta,
				const struct blockz_sink *sink, const struct blockz_merge_options *options,
				struct blockz_fault *fault);

/* ---- SquashDelta: the deltas of another program ----------------------------------------------------------- */

/*
 * A delta of SquashDelta 0.1 is a header, the list of those blocks of OLD that are decoded, and a VCDIFF by the program xdelta3
 * that makes one expanded file of another.  The expanded file of an image is the image with zeros in the place of the
 * listed blocks, then what these decode to, then the list, then the header.  See blockz-squashdelta(5).
 */

/* The first bytes of a delta. */
#define BLOCKZ_SQUASHDELTA_MAGIC "\x53\x71\xce\xb4"
#define BLOCKZ_SQUASHDELTA_MAGIC_LEN 4

/* A header and a list of blocks of one image; read-only once made, and may be shared. */
struct blockz_squashdelta;

struct blockz_squashdelta_info {
	char encoder[96];  /* as in struct blockz_encoder: "lz4 level=12" */
	uint64_t blocks;
	uint64_t packed_bytes, plain_bytes; /* of all blocks, compressed and decoded */
	uint64_t list_len; /* bytes of header and list together */
};

void blockz_squashdelta_free(struct blockz_squashdelta *list);
struct blockz_squashdelta_info blockz_squashdelta_info(const struct blockz_squashdelta *list);

/*
 * Chooses the blocks by which two images are expanded: those that the other one does not have, byte for byte; of
 * new_image only those that the one encoder which the format can name was proved to make again.  old_image NULL, and then
 * old_ret too: all of these of new_image.  The lists depend on the images alone, not on threads; the caller frees them.
 * Errors: BLOCKZ_UNSUPPORTED (not SquashFS with LZO or LZ4 below 4 GiB, the two differ in their compressor, or it was run in
 * a way that the format cannot express), BLOCKZ_USAGE (of unknown size), BLOCKZ_FAILED.
 */
enum blockz_status blockz_squashdelta_choose(const struct blockz_source *old_image, const struct blockz_source *new_image,
					     const struct blockz_merge_options *options,
					     struct blockz_squashdelta **old_ret, struct blockz_squashdelta **new_ret,
					     struct blockz_fault *fault);

/*
 * Reads header and list at the start of a delta, and no byte behind them; the delta may be a stream.
 * Errors: BLOCKZ_DAMAGED, BLOCKZ_UNSUPPORTED (flags or compression that are not known), BLOCKZ_LIMIT, BLOCKZ_FAILED.
 */
enum blockz_status blockz_squashdelta_read(const struct blockz_source *delta, struct blockz_squashdelta **list_ret,
					   struct blockz_fault *fault);

/* Appends header and list, as they stand at the start of a delta.  Errors: BLOCKZ_FAILED. */
enum blockz_status blockz_squashdelta_write(const struct blockz_squashdelta *list, const struct blockz_sink *sink,
					    struct blockz_fault *fault);

/*
 * Appends the expanded file of an image of known size.  Memory: for each thread a codec and three blocks.
 * Errors: BLOCKZ_DAMAGED (the list does not fit the image: it is another one), BLOCKZ_UNSUPPORTED (no LZO), BLOCKZ_USAGE,
 * BLOCKZ_FAILED.
 */
enum blockz_status blockz_squashdelta_expand(const struct blockz_source *image, const struct blockz_squashdelta *list,
					     const struct blockz_sink *sink, const struct blockz_merge_options *options,
					     struct blockz_fault *fault);

/*
 * Appends the image whose expanded file this is, of known size.  The format has no check of its content: that a block
 * became as long as it has to be is all that can be known.  Memory as above.
 * Errors: BLOCKZ_DAMAGED (also: the encoder makes a block of another length), BLOCKZ_UNSUPPORTED, BLOCKZ_LIMIT, BLOCKZ_USAGE,
 * BLOCKZ_FAILED.
 */
enum blockz_status blockz_squashdelta_squash(const struct blockz_source *expanded, const struct blockz_sink *sink,
					     const struct blockz_merge_options *options, struct blockz_fault *fault);

#ifdef __cplusplus
}
#endif

#endif
