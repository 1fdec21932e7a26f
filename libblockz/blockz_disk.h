/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * libblockz, disks: serve the image of a compressed file, and write its raw ranges, or all of it.
 *
 * A disk is a compressed file in use for longer: any number of threads read its image and write into its raw ranges.
 * A write goes to the file at once; the checks over it are made right by a commit.  Between the first write and
 * the commit the file is not valid, and a published intent journal says so; from any crash blockz_recover() makes of
 * it a valid file that holds exactly what a disk would hold: all flushed writes, and of the others any.
 *
 * With an overlay, all of the image can be written to.  Writes go there, raw ranges included, and the file is as it was,
 * and valid, until the overlay is committed: its pages are edits, of which a plan is made and carried out.
 */
#ifndef BLOCKZ_DISK_H
#define BLOCKZ_DISK_H

#include "blockz.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Overlays: what was written to a disk and is not in its file ------------------------------------------- */

/*
 * An overlay holds pages of a file's image that take the place of those of the file.  It is a file beside that,
 * .NAME.blockz-overlay, made by the first write, and taken up again after a crash.  blockz-journal(5) has its layout.
 *
 * It tells to which file it belongs by that file's size, its first and last 64 KiB, and the ends of its pieces, where checks
 * stand; and so it does of the file that a commit is about to make of that one.  So nothing is committed twice, or to another
 * file:
 *
 *   1  the disk is flushed or closed, and nothing writes to it
 *   2  blockz_plan_anywhere() plans the edits of blockz_overlay_edits()
 *   3  blockz_overlay_announce() has the overlay know the file that the plan makes
 *   4  the plan is carried out: blockz_plan_apply(), or a new file, which is synced, and renamed
 *   5  blockz_overlay_drop()
 *
 * After a crash blockz_recover() comes first.  Then the overlay is of this file, and everything is done again; or it is
 * committed, and is dropped; or it is another file's, and only a person can say which of both to keep.
 */
struct blockz_overlay;

enum { BLOCKZ_OVERLAY_PAGE = 4096 }; /* image bytes; the last page of an image may be shorter */

enum blockz_overlay_mode {
	BLOCKZ_OVERLAY_READ,  /* nothing is changed */
	BLOCKZ_OVERLAY_WRITE, /* locked; this alone can be written to, announced to, adopted and dropped: BLOCKZ_USAGE */
};

enum blockz_overlay_state {
	BLOCKZ_OVERLAY_NONE,          /* there is none, or, for writing, not yet */
	BLOCKZ_OVERLAY_OF_FILE,       /* it belongs to the file, whether or not a commit was begun */
	BLOCKZ_OVERLAY_COMMITTED,     /* the file is the one that a commit has made: it can be dropped, and nothing is lost */
	BLOCKZ_OVERLAY_OF_OTHER_FILE, /* neither: another file was put here since, or the overlay */
	BLOCKZ_OVERLAY_UNTRUSTED,     /* damaged, or of somebody who is not to be believed: it is not read, and can only be dropped */
};

struct blockz_overlay_info {
	enum blockz_overlay_state state;
	uint64_t image_size; /* of the image whose pages it holds; 0: it holds none */
	uint64_t pages;
	uint64_t bytes;      /* of the image, that are in these */
	const char *note;    /* one line on why it is not to be trusted; else NULL.  As long as the overlay is open */
};

/*
 * Opens the overlay of the file `name` in the directory dirfd, if there is one.  file: the same, opened and recovered;
 * for BLOCKZ_OVERLAY_WRITE to be written to, with a journal.  It and dirfd must stay open as long.
 * An overlay that cannot be believed is none of the errors: see the state.
 * Memory: a bit for each page of the image, as far as pages are held.
 * Errors: BLOCKZ_LOCKED (another program has it open), BLOCKZ_UNSUPPORTED (the directory cannot be written, the name is too
 * long), BLOCKZ_LIMIT (an image of more than 16 TiB), BLOCKZ_FAILED.
 */
enum blockz_status blockz_overlay_open(int dirfd, const char *name, const struct blockz_store *file,
				       enum blockz_overlay_mode mode, struct blockz_overlay **overlay_ret,
				       struct blockz_fault *fault);

/* Closes it and leaves it where it is.  What was written since the last flush may be lost.  overlay may be NULL. */
void blockz_overlay_close(struct blockz_overlay *overlay);

struct blockz_overlay_info blockz_overlay_info(const struct blockz_overlay *overlay);

/*
 * For whoever is to change the file in any other way than by committing the overlay.  Errors: BLOCKZ_NEEDS_RECOVERY: there
 * is one, whatever its state; fault->remedy tells what helps.
 */
enum blockz_status blockz_overlay_refuse(const struct blockz_overlay *overlay, struct blockz_fault *fault);

/* The next run of bytes of the image that are held, from image offset off on; false if there is none. */
bool blockz_overlay_range_at(const struct blockz_overlay *overlay, uint64_t off, struct blockz_range *range_ret);

/* The bytes that are held, by image offset.  Reading others is an error (EINVAL).  Valid as long as the overlay. */
struct blockz_source blockz_overlay_source(const struct blockz_overlay *overlay);

/*
 * An edit for each run of bytes that are held, ascending, whose data is the overlay: valid as long as that.  *edits_ret is the
 * caller's to free(), also where there are none.  Errors: BLOCKZ_FAILED (no memory).
 */
enum blockz_status blockz_overlay_edits(const struct blockz_overlay *overlay, struct blockz_edit **edits_ret,
					size_t *count_ret, struct blockz_fault *fault);

/*
 * Makes all pages durable, and that a commit is about to make of `file`, which is as when the plan was made, what the plan
 * says.  May be done again with another plan.  Errors: BLOCKZ_NEEDS_RECOVERY (the overlay is not of this file),
 * BLOCKZ_FAILED.
 */
enum blockz_status blockz_overlay_announce(struct blockz_overlay *overlay, const struct blockz_plan *plan,
					   const struct blockz_source *file, struct blockz_fault *fault);

/*
 * Says that an overlay of another file is this one's from now on, because somebody knows it: its state is
 * BLOCKZ_OVERLAY_OF_FILE then.  Errors: BLOCKZ_NEEDS_RECOVERY (it is not to be trusted), BLOCKZ_FAILED.
 */
enum blockz_status blockz_overlay_adopt(struct blockz_overlay *overlay, struct blockz_fault *fault);

/* Removes it, durably, whatever it is.  The next write makes a new one.  Errors: BLOCKZ_FAILED. */
enum blockz_status blockz_overlay_drop(struct blockz_overlay *overlay, struct blockz_fault *fault);

/* ---- Disks ------------------------------------------------------------------------------------------------- */

struct blockz_disk;

enum blockz_commit {
	/* When the disk is closed, and when it was not written to for some seconds.  An overlay is not: its owner commits it. */
	BLOCKZ_COMMIT_CLOSE,
	/* At every flush as well.  An overlay: in place, where that is estimated to take at most a second and has room. */
	BLOCKZ_COMMIT_FLUSH,
};

struct blockz_disk_options {
	/*
	 * Bytes of decoded pieces that are kept.  A piece larger than this, or than 32 MiB, is a long one.  Where there are such,
	 * half of the cache is theirs, and what is larger than the other half is one, too.
	 */
	uint64_t cache;
	enum blockz_commit commit;
	/*
	 * NULL: raw ranges alone are written to, in the file itself.  Else all writes go there, and reads see them; one that was
	 * opened with BLOCKZ_OVERLAY_READ is only read.  It must outlive the disk, and is the disk's alone until that is closed.
	 */
	struct blockz_overlay *overlay;
	/* For BLOCKZ_COMMIT_FLUSH with an overlay, as in struct blockz_anywhere; NULL: a flush commits nothing. */
	const struct blockz_store *scratch;
	/*
	 * NULL: where a long piece can only be decoded from its beginning, as in all but .gz, the file is refused.  Else gives
	 * a store, empty at first, for a copy of such pieces, image_bytes in all, which takes some more room than they do in
	 * the file.  Called by blockz_disk_open() before it decodes them, once.  Of the store's operations read and write
	 * alone are called, and the size is not looked at: writes append.  It must outlive the disk.  With a copy, no flush
	 * commits an overlay.
	 */
	enum blockz_status (*spool)(void *ctx, uint64_t image_bytes, const struct blockz_store **store_ret,
				    struct blockz_fault *fault);
	void *spool_ctx;
};

/*
 * Opens the image of a store's file, to be written to where the store was opened with BLOCKZ_STORE_WRITE.  The store and,
 * if it was interrupted, its recovery are the caller's.  The first request that can use one starts a thread, which reads
 * ahead and commits; a disk may be opened before a fork and used behind it.
 * Long pieces of a .gz are decoded from their beginning by the first read that lies behind all others, and from nearby by
 * others; those of other formats once, when the disk is opened.
 * Memory: the cache, and 80 bytes for each piece in it; 16 MiB for long pieces; 24 bytes for each MiB of raw bytes, 9 a piece;
 * for each thread that reads at once, a decoder; where it is written to, a piece twice, 100 bytes for each check, and 130
 * for each MiB that was.
 * Errors: those of blockz_map_read(); BLOCKZ_LIMIT: a piece is too long (fault->offset: of the piece), or
 * there are more than 4 Mi units of raw bytes; BLOCKZ_NEEDS_RECOVERY (the overlay is not of this file, or committed);
 * BLOCKZ_UNSUPPORTED (an overlay that is written to, and a format that cannot be edited anywhere).
 */
enum blockz_status blockz_disk_open(const struct blockz_store *store, const struct blockz_disk_options *options,
				    struct blockz_disk **disk_ret, struct blockz_fault *fault);

/*
 * Commits, and frees the disk whatever comes of that; the store stays open.  With an overlay: makes that durable, and leaves
 * the commit to the caller.  disk may be NULL.
 * Errors: BLOCKZ_FAILED, with fault->state.
 */
enum blockz_status blockz_disk_close(struct blockz_disk *disk, struct blockz_fault *fault);

/* Valid as long as the disk; with an overlay and BLOCKZ_COMMIT_FLUSH: until the first flush. */
const struct blockz_map *blockz_disk_map(const struct blockz_disk *disk);

/*
 * True until an error of the store made the disk read-only.  False from the start where the store has no journal, or the
 * file an index whose checks could not be kept right.
 */
bool blockz_disk_is_writable(const struct blockz_disk *disk);

/* These five may be called by any thread at any time between open and close. */

/*
 * What is read was shown to be what was written; but of an xz Block by the ends of its chunks, and its Check is compared by who
 * reads from the last of them.  Errors: BLOCKZ_USAGE (beyond the image), BLOCKZ_DAMAGED, BLOCKZ_FAILED.
 */
enum blockz_status blockz_disk_read(struct blockz_disk *disk, void *buf, size_t len, uint64_t off,
				    struct blockz_fault *fault);

/* The same, but reads nothing ahead, and so starts no thread: for who wants to look at the image before a fork. */
enum blockz_status blockz_disk_peek(struct blockz_disk *disk, void *buf, size_t len, uint64_t off,
				    struct blockz_fault *fault);

/*
 * Overwrites bytes, all of which must be patchable unless there is an overlay; buf NULL: with zeros.  Not durable before the
 * next flush.  Where writes
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
 * to read as zeros, and is neither raw nor held by an overlay.  Errors: BLOCKZ_USAGE, BLOCKZ_DAMAGED, BLOCKZ_FAILED.
 */
enum blockz_status blockz_disk_extent(struct blockz_disk *disk, uint64_t off, uint64_t len, bool *zeros_ret,
				      uint64_t *len_ret, struct blockz_fault *fault);

#ifdef __cplusplus
}
#endif

#endif
