/* SPDX-License-Identifier: BSD-3-Clause */
/* What has to be known of the overlay of a file that was opened by its name in a directory. */
#ifndef FILES_OVERLAYS_H
#define FILES_OVERLAYS_H

#include "blockz_disk.h"

/* Writes a line about the overlay that is beside a file, for who reads the file alone; false: nothing is to be told. */
bool overlays_note(int dirfd, const char *name, const struct blockz_store *file, char *text, size_t room);

/*
 * Opens the overlay of a file to read through it; NULL where there is none, or the file has it all.
 * Errors: those of blockz_overlay_open(); BLOCKZ_NEEDS_RECOVERY: it is another file's, or not to be trusted.
 */
enum blockz_status overlays_open(int dirfd, const char *name, const struct blockz_store *file,
				 struct blockz_overlay **overlay_ret, struct blockz_fault *fault);

/*
 * For who is to change a file, or to replace it.  Errors: those of blockz_overlay_open(); BLOCKZ_NEEDS_RECOVERY: there is an
 * overlay, whatever its state.
 */
enum blockz_status overlays_refuse(int dirfd, const char *name, const struct blockz_store *file, struct blockz_fault *fault);

#endif
