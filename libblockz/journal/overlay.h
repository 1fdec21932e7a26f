/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The overlay: pages of an image that wait to be brought into the file.
 *
 * blockz_disk.h has its life as programs see it.  It is a file like a journal, made and found by the same operations of a
 * store, and sparse, since each page has its place:
 *
 *      0  header, in two slots (journal/overlay_header.h)
 *   8192  a bit for each page of the image, the lowest of a byte first (journal/overlay_pages.h); zeros up to a multiple of 4096
 *   then  the pages, 4096 bytes each; zeros behind the end of the image
 *
 * What can be lost, and what cannot:
 *
 *   - A flush makes pages durable first, and then their bits.  A bit that is there has its page.  What was not flushed may be
 *     lost singly, as on a disk: a page that was held before is a mixture of old and new sectors then.
 *   - As long as it is there, the file is changed by nothing but a commit.  So the file is the one that the overlay was made
 *     beside (`base`), or the one that the last announced plan makes of that (`next`), or a journal of the plan is there.
 *   - Before the first byte of the file changes, `next` is durable, and all pages.  A crash from then on leaves the file as one
 *     of both.  Where it is the base, nothing of the commit is there, and all is done again.  Where it is the next one, all of it
 *     is there, and the overlay has nothing that the file has not.
 *   - Both may be the same, where nothing changes by which a file is known.  Then it is done again, and either nothing is left
 *     to be changed, or everything.
 *   - The overlay is removed only when the file is durable, and only then.
 *
 * Worked example: a guest has written to page 7, flushed, and to page 8.  The power fails.  The overlay has page 7, and 8 if its
 * bit was written, which only a later flush does.  The file is the base: page 7 is brought into it.  `next` is announced, the
 * plan's journal published, half of its bytes written, and the power fails once more.  Recovery undoes that by the journal, and
 * the file is the base again; or finds all bytes new, and it is the next one, and the overlay goes.  Had somebody put another
 * file there in between, it would be neither, and nothing would be touched.
 *
 * After a sync that failed nothing is written any more: what the kernel still holds of it is not known, and a second sync
 * would not tell.
 */
#ifndef JOURNAL_OVERLAY_H
#define JOURNAL_OVERLAY_H

#include "blockz_disk.h"
#include "journal/overlay_header.h"

/* Digests the pieces of a file, which takes its map: 0 if it cannot be mapped, which is no error.  Errors: BLOCKZ_FAILED. */
typedef enum blockz_status overlay_digest(const struct blockz_source *file, uint64_t *pieces_ret, struct blockz_fault *fault);

/*
 * As blockz_overlay_open(), of an overlay that is the journal of `place`, of which no other operations are called.  Both
 * stores must live as long.  digest NULL: a file has no pieces.
 */
enum blockz_status overlay_new(const struct blockz_store *place, const struct blockz_store *file, overlay_digest *digest,
			       enum blockz_overlay_mode mode, struct blockz_overlay **overlay_ret,
			       struct blockz_fault *fault);

/* blockz_overlay_open(), by this digest. */
enum blockz_status overlay_open_beside(int dirfd, const char *name, const struct blockz_store *file, overlay_digest *digest,
				       enum blockz_overlay_mode mode, struct blockz_overlay **overlay_ret,
				       struct blockz_fault *fault);

/*
 * For a disk of the file, whose image has so many bytes.  Errors: BLOCKZ_NEEDS_RECOVERY (the overlay is not of this file, or
 * of an image of another size, or committed), BLOCKZ_LIMIT, BLOCKZ_FAILED.
 */
enum blockz_status overlay_begin(struct blockz_overlay *overlay, uint64_t image_size, struct blockz_fault *fault);

/* True if it was opened to be written to. */
bool overlay_is_writable(const struct blockz_overlay *overlay);

/* Between overlay_begin() and overlay_close(), any thread may call these at any time. */

/* False once a sync has failed: nothing is written any more. */
bool overlay_is_good(const struct blockz_overlay *overlay);

bool overlay_holds(const struct blockz_overlay *overlay, uint64_t page);

/* Where the state of held pages changes, from image offset off up to end at the latest; *held_ret: that of the byte at off. */
uint64_t overlay_run_end(const struct blockz_overlay *overlay, uint64_t off, uint64_t end, bool *held_ret);

/* Bytes of pages that are held.  Errors: BLOCKZ_FAILED. */
enum blockz_status overlay_read(const struct blockz_overlay *overlay, void *buf, size_t len, uint64_t off,
				struct blockz_fault *fault);
/* Overwrites them.  Errors, also of the next: BLOCKZ_FAILED; overlay_is_good() tells whether another try is allowed. */
enum blockz_status overlay_write(struct blockz_overlay *overlay, const void *buf, size_t len, uint64_t off,
				 struct blockz_fault *fault);

/*
 * Adds whole pages, or those up to the image's end, from image offset off on: they are held from then on.  The first call makes
 * the overlay.  One thread at a time; nobody writes to a page while it is added.
 */
enum blockz_status overlay_add(struct blockz_overlay *overlay, const void *buf, size_t len, uint64_t off,
			       struct blockz_fault *fault);

/* Makes all that was written durable.  Errors: BLOCKZ_FAILED, and from then on it is not good. */
enum blockz_status overlay_flush(struct blockz_overlay *overlay, struct blockz_fault *fault);

/* After an error of something else nothing is to be written any more, either. */
void overlay_give_up(struct blockz_overlay *overlay, const struct blockz_fault *why);

/* ---- While nobody writes ---- */

/* As blockz_overlay_announce(), of a plan that makes a file of which that much is known. */
enum blockz_status overlay_set_next(struct blockz_overlay *overlay, const struct overlay_identity *next,
				    struct blockz_fault *fault);

#endif
