/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * libblockz, page stores: a RAM disk of compressed pages.
 *
 * An image in memory, sparse, of up to 2^63-1 bytes, kept in pages.  A page is zero (and takes no memory), compressed, or
 * raw where compression does not pay; or it is still in the base, an image that the store started from and reads when it
 * has to.  Any number of threads may call everything but blockz_pages_new() and blockz_pages_free() at once; requests
 * that overlap are carried out page by page in some order.
 *
 * The pages of a request of 256 KiB or more, if they are compressed, are shared with threads that the store starts when it
 * first has such a one: as many as there are CPUs, less one.  Signals to the process do not come to them.  A store
 * that a process made before fork(2) may be used in the child if it had no such request before.
 */
#ifndef BLOCKZ_PAGES_H
#define BLOCKZ_PAGES_H

#include "blockz.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The format in whose frames pages are kept compressed. */
#define BLOCKZ_PAGES_FORMAT "zstd"

struct blockz_pages;

enum {
	BLOCKZ_PAGE_SIZE_MIN = 4096,
	BLOCKZ_PAGE_SIZE_MAX = 262144,
	BLOCKZ_PAGE_SIZE_DEFAULT = 32768,
	BLOCKZ_PAGES_LEVEL_DEFAULT = 4,
	BLOCKZ_PAGES_CACHE_DEFAULT = 32 << 20,
};

enum blockz_pages_layout {
	BLOCKZ_PAGES_COMPRESSED,
	BLOCKZ_PAGES_SPARSE, /* as they are; pages of zeros take no memory */
	BLOCKZ_PAGES_DIRECT, /* as they are, each at its place in one mapping of the whole image */
};

struct blockz_pages_options {
	uint64_t size;        /* bytes of the image, at most INT64_MAX */
	uint32_t page_size;   /* a power of two between the limits above; 0: BLOCKZ_PAGE_SIZE_DEFAULT */
	enum blockz_pages_layout layout;
	int level;            /* of zstd, negative ones too; 0: BLOCKZ_PAGES_LEVEL_DEFAULT */
	uint64_t cache;       /* bytes written in parts of pages that wait to be compressed; 0: none wait */
	uint64_t memory_max;  /* bytes that the store may take for everything; 0: no limit */
	const struct blockz_source *base; /* NULL: zeros; else of known size, at most size; zeros behind its end */
};

/*
 * base has to outlive the store, and its bytes must not change.
 * Errors: BLOCKZ_USAGE (a size, page size or level that there is not), BLOCKZ_LIMIT (memory_max is too small for an empty
 * store), BLOCKZ_FAILED (no memory).
 */
enum blockz_status blockz_pages_new(const struct blockz_pages_options *options, struct blockz_pages **pages_ret,
				    struct blockz_fault *fault);
void blockz_pages_free(struct blockz_pages *pages); /* NULL is fine */

/* Keeps a BLOCKZ_PAGES_DIRECT mapping in RAM from now on: mlock(2), which a fork undoes.  Errors: BLOCKZ_FAILED. */
enum blockz_status blockz_pages_lock(struct blockz_pages *pages, struct blockz_fault *fault);

/*
 * Reads or writes len bytes at off; write: buf NULL writes zeros, pages that become zero as a whole give their memory
 * back, and what a page held is kept until what it will hold is stored.  After a failed write each page that the range
 * touches holds its old bytes or its new ones.
 * Errors: BLOCKZ_USAGE (beyond the image), BLOCKZ_LIMIT (memory_max), BLOCKZ_FAILED (no memory), and those of the base,
 * BLOCKZ_FAILED or whatever it is a view of: fault->offset is the image offset.
 */
enum blockz_status blockz_pages_read(struct blockz_pages *pages, void *buf, size_t len, uint64_t off,
				     struct blockz_fault *fault);
enum blockz_status blockz_pages_write(struct blockz_pages *pages, const void *buf, uint64_t len, uint64_t off,
				      struct blockz_fault *fault);

/*
 * Gives back memory that is of use to the next requests only, some hundreds of KiB for each CPU: for when there may be none for a
 * while, as when a client has left.
 */
void blockz_pages_rest(struct blockz_pages *pages);

/*
 * *len_ret: how many bytes from off on, at least 1 and at most len, are all known to be zeros or all may be data; in whole
 * pages but for the ends.  Errors: BLOCKZ_USAGE (beyond the image, len 0), BLOCKZ_FAILED (the base).
 */
enum blockz_status blockz_pages_extent(struct blockz_pages *pages, uint64_t off, uint64_t len, bool *zeros_ret,
				       uint64_t *len_ret, struct blockz_fault *fault);

struct blockz_pages_info {
	uint64_t size;
	uint32_t page_size;
	uint64_t compressed_pages, raw_pages; /* others are zero, or in the base */
	uint64_t stored_bytes;  /* what the pages hold, after compression */
	uint64_t waiting_bytes; /* in the cache */
	uint64_t memory_bytes;  /* taken for everything; never above memory_max */
	uint64_t memory_peak_bytes;
	uint64_t reads, writes; /* pages touched by requests */
	uint64_t read_hits;     /* of these, those that needed no decoding because the page was at hand */
	uint64_t write_hits;    /* and those that went to a page part of which was waiting already */
};

/* A snapshot; counts of a moment at which requests are under way may be off by these. */
struct blockz_pages_info blockz_pages_info(struct blockz_pages *pages);

struct blockz_pages_save_options {
	const char *format; /* name as in struct blockz_format; NULL: BLOCKZ_PAGES_FORMAT */
	const struct blockz_range *raw; /* to be stored raw, in any order, within the image; end BLOCKZ_UNKNOWN: up to its end */
	size_t raw_count;
	struct blockz_work work;
};

/*
 * Writes the image as an ordinary .zst with a seek table: a frame for each page, of raw blocks where a page is incompressible,
 * and longer frames for raw ranges (up to 1 MiB) and zeros (4 MiB).  Frames that pages are kept as are copied.  Where there
 * would be more than 2^20 frames or checks over raw frames, which is what a map may have, frames of zeros are longer, up to
 * 32 MiB; if that is not enough, as for 32 GiB of data in pages of 32 KiB, the others hold several pages, a power of two, and
 * all pages are encoded anew.  Writes wait until it is done, so that the file is the image of one moment; reads do not.  The
 * sink and the progress must not write to the store.  Memory beside the store's: for each thread an encoder and 4 MiB.
 * In any other format the file is as blockz_pack() makes it by default: nothing is copied, and an index may need a sink that
 * can be rewritten.
 * Errors: those of blockz_pack() and blockz_pages_read(); BLOCKZ_LIMIT (more frames than a map may have, however long they
 * are), and nothing was written.
 */
enum blockz_status blockz_pages_save(struct blockz_pages *pages, const struct blockz_sink *sink,
				     const struct blockz_pages_save_options *options,
				     struct blockz_pack_result *result_ret, struct blockz_fault *fault);

/* The compressed file of which a store's base is the image; or with which a store was filled that has no base. */
struct blockz_pages_origin {
	const struct blockz_source *file;
	const struct blockz_map *map; /* of the file; its image is as long as the store's */
	const struct blockz_store *scratch; /* as in struct blockz_anywhere */
	struct blockz_work work;
};

/*
 * Writes that file with the image that the store holds now, by a splice: pieces that no write has touched are copied as they
 * stand, checks included, so that they are as good or as damaged as they were; others are encoded again.  Writes wait until
 * it is done, as in blockz_pages_save().  Of a store that has a base only pages are looked at that are not in it any more, so
 * that it takes as long as these, and a copy; without one all of the image is compared.
 * *info_ret: the plan's.  Where it fails before it copies, nothing was written to the sink.
 * Errors: BLOCKZ_USAGE (the sizes differ), those of blockz_plan_anywhere() with BLOCKZ_WAY_SPLICE, all before it copies;
 * BLOCKZ_FAILED.
 */
enum blockz_status blockz_pages_splice(struct blockz_pages *pages, const struct blockz_pages_origin *origin,
				       const struct blockz_sink *sink, struct blockz_plan_info *info_ret,
				       struct blockz_fault *fault);

#ifdef __cplusplus
}
#endif

#endif
