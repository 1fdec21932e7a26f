/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * libblockz, disks: serve the image of a compressed file, and write its raw ranges.
 *
 * A disk is a compressed file in use for longer: any number of threads read its image and write into its raw ranges.
 * A write goes to the file at once; the checks over it are made right by a commit.  Between the first write and
 * the commit the file is not valid, and a published intent journal says so; from any crash blockz_recover() makes of
 * it a valid file that holds exactly what a disk would hold: all flushed writes, and of the others any.
 */
#ifndef BLOCKZ_DISK_H
#define BLOCKZ_DISK_H

#include "blockz.h"

#ifdef __cplusplus
extern "C" {
#endif

struct blockz_disk;

enum blockz_commit {
	BLOCKZ_COMMIT_CLOSE, /* when the disk is closed, and when it was not written to for some seconds */
	BLOCKZ_COMMIT_FLUSH, /* at every flush as well */
};

struct blockz_disk_options {
	uint64_t cache; /* bytes of decoded pieces that are kept; a piece larger than this (or 32 MiB) is not read */
	enum blockz_commit commit;
};

/*
 * Opens the image of a store's file, to be written to where the store was opened with BLOCKZ_STORE_WRITE.  The store and,
 * if it was interrupted, its recovery are the caller's.  The first request that can use one starts a thread, which reads
 * ahead and commits; a disk may be opened before a fork and used behind it.
 * Memory: the cache, and 80 bytes for each piece in it; 24 bytes for each MiB of raw bytes, 9 a piece; for each thread that
 * reads at once, a decoder; where it is written to, a piece twice, 100 bytes for each check, and 130 for each MiB that was.
 * Errors: those of blockz_map_read(); BLOCKZ_LIMIT: a piece is larger than the cache (fault->offset: of the piece), or
 * there are more than 4 Mi units of raw bytes; BLOCKZ_NEEDS_RECOVERY.
 */
enum blockz_status blockz_disk_open(const struct blockz_store *store, const struct blockz_disk_options *options,
				    struct blockz_disk **disk_ret, struct blockz_fault *fault);

/*
 * Commits, and frees the disk whatever comes of that; the store stays open.  disk may be NULL.
 * Errors: BLOCKZ_FAILED, with fault->state.
 */
enum blockz_status blockz_disk_close(struct blockz_disk *disk, struct blockz_fault *fault);

/* Valid as long as the disk. */
const struct blockz_map *blockz_disk_map(const struct blockz_disk *disk);

/*
 * True until an error of the store made the disk read-only.  False from the start where the store has no journal, or the
 * file an index whose checks could not be kept right.
 */
bool blockz_disk_is_writable(const struct blockz_disk *disk);

/* These four may be called by any thread at any time between open and close. */

/* Errors: BLOCKZ_USAGE (beyond the image), BLOCKZ_DAMAGED, BLOCKZ_FAILED. */
enum blockz_status blockz_disk_read(struct blockz_disk *disk, void *buf, size_t len, uint64_t off,
				    struct blockz_fault *fault);

/*
 * Overwrites bytes, all of which must be patchable; buf NULL: with zeros.  Not durable before the next flush.  Where writes
 * at the same time overlap, each byte is that of one of them.
 * Errors, before any byte is written: BLOCKZ_USAGE, BLOCKZ_UNSUPPORTED (not raw: names the nearest raw range; or raw in a
 * piece whose check covers compressed bytes too, which only a plan can change), BLOCKZ_DAMAGED (the old content does not
 * match its check), BLOCKZ_FAILED (no room for a journal, no memory).  BLOCKZ_FAILED for any other reason, and the disk is
 * read-only from then on; blockz_disk_is_writable() tells which.
 */
enum blockz_status blockz_disk_write(struct blockz_disk *disk, const void *buf, size_t len, uint64_t off,
				     struct blockz_fault *fault);

/* Makes all writes that have returned durable; a sync that failed is never tried again.  Errors: BLOCKZ_FAILED. */
enum blockz_status blockz_disk_flush(struct blockz_disk *disk, struct blockz_fault *fault);

/*
 * The longest run from image offset off on, at most len bytes, of which one thing can be said: *zeros_ret: it is proved
 * to read as zeros, and is not raw.  Errors: BLOCKZ_USAGE, BLOCKZ_DAMAGED, BLOCKZ_FAILED.
 */
enum blockz_status blockz_disk_extent(struct blockz_disk *disk, uint64_t off, uint64_t len, bool *zeros_ret,
				      uint64_t *len_ret, struct blockz_fault *fault);

#ifdef __cplusplus
}
#endif

#endif
