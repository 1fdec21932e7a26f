/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The writing side of a disk: which units were written to since the last commit, and the commit.
 *
 * A file that is in use as a disk is what disk/ is about.  It calls mapped/ to read pieces, parallel/ to keep them and to keep
 * writes and commits apart, and the intent journal for what is written.  It writes payload and checks of raw pieces, never
 * anything else, and knows no server.
 *
 *   clean -> marking    the old content is verified as far as its own checks go, and its check taken
 *   marking -> dirty    the record is durable in the intent journal (journal/intent.h)
 *   dirty -> clean      a commit has made the checks right
 *
 * A write into a dirty unit takes no lock that another write holds for long.  Writes are inside a gate; a commit closes
 * it, waits until they have left, and has the file for itself.
 */
#ifndef DISK_DIRTY_H
#define DISK_DIRTY_H

#include "blockz.h"

struct dirty;

/*
 * For a store with a journal; it, the file and the map must live as long.  *dirty_ret is for dirty_free().
 * Errors: BLOCKZ_NEEDS_RECOVERY, BLOCKZ_LIMIT, BLOCKZ_UNSUPPORTED, BLOCKZ_FAILED.
 */
enum blockz_status dirty_new(const struct blockz_store *store, const struct blockz_source *file,
			     const struct blockz_map *map, struct dirty **dirty_ret, struct blockz_fault *fault);
void dirty_free(struct dirty *dirty); /* NULL is fine; what was written is not made durable */

/* All of these may be called by any thread. */

/* As blockz_disk_write(), for a range within the image. */
enum blockz_status dirty_write(struct dirty *dirty, const void *buf, size_t len, uint64_t off,
			       struct blockz_fault *fault);

/* Makes what was written durable, and the file valid too if `committing`. */
enum blockz_status dirty_flush(struct dirty *dirty, bool committing, struct blockz_fault *fault);

/* False once an error of the store has made the disk read-only. */
bool dirty_is_good(const struct dirty *dirty);

/* How many writes there were. */
uint64_t dirty_writes(const struct dirty *dirty);

#endif
