/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A page store that stands still, for a save.  Between snapshot_begin() and snapshot_end() any thread may call the other
 * functions, several at once; they take nobody's turn, and change nothing.
 */
#ifndef PAGESTORE_SNAPSHOT_H
#define PAGESTORE_SNAPSHOT_H

#include "base/buffer.h"
#include "blockz_pages.h"

/* From now on writes wait, and reads do not; both calls come from the same thread. */
void snapshot_begin(struct blockz_pages *pages);
void snapshot_end(struct blockz_pages *pages);

/* The level that pages are encoded at; of layouts that encode none, the default. */
int snapshot_level(const struct blockz_pages *pages);

enum snapshot_kind {
	SNAPSHOT_ZERO,  /* known to be zeros, without a look into it */
	SNAPSHOT_FRAME, /* kept as a zstd frame of its bytes within the image, and nothing of it waits */
	SNAPSHOT_PLAIN, /* anything else */
};

/*
 * The kind of a page, and how many pages from it on are of this kind at least: of SNAPSHOT_ZERO as many as can be told in a
 * short time, of others 1 is good enough.  Errors: those of the base.
 */
enum blockz_status snapshot_run(const struct blockz_pages *pages, uint64_t page, enum snapshot_kind *kind_ret,
				uint64_t *count_ret, struct blockz_fault *fault);

/* Copies the frame of a SNAPSHOT_FRAME page to the caller's buffer.  Errors: BLOCKZ_FAILED (no memory). */
enum blockz_status snapshot_frame(const struct blockz_pages *pages, uint64_t page, struct buffer *out, size_t *len_ret,
				  struct blockz_fault *fault);

/* Reads bytes of the image, with all that waits.  Errors: as blockz_pages_read(). */
enum blockz_status snapshot_read(const struct blockz_pages *pages, uint64_t start, uint64_t end, uint8_t *bytes,
				 struct blockz_fault *fault);

/* The image as a source, which knows its holes. */
struct blockz_source snapshot_source(const struct blockz_pages *pages);

/*
 * The next bytes of the image, at or behind off, that are not in the base any more, as whole pages; empty, at the image's end:
 * there are none.
 */
struct blockz_range snapshot_changed(const struct blockz_pages *pages, uint64_t off);

#endif
