/* SPDX-License-Identifier: BSD-3-Clause */
/* load=: the image that a disk starts from, whatever kind of file it is in. */
#ifndef NBDKIT_RAM_BASE_H
#define NBDKIT_RAM_BASE_H

#include "blockz_pages.h"
#include "files/input.h"

/* Bytes of decoded pieces that are kept, where max-memory= does not make them fewer. */
#define BASE_CACHE_MIB 64

/* Must not be moved while it is open. */
struct base {
	struct blockz_source source; /* the image; reports itself why it cannot be read.  ops NULL: is for base_copy() */
	const struct blockz_format *format; /* NULL: not compressed */
	uint64_t cache;              /* bytes for what was decoded; 0: none */
	/* Private. */
	const char *label;
	struct input file, plain; /* locked; of an image that is not compressed, again */
	struct blockz_disk *disk; /* NULL: not compressed, or in pieces too large to be read one by one */
	struct blockz_map *whole; /* of the latter */
};

/*
 * Opens the image in the file at path: compressed if it starts like that.  Holds a lock that keeps writers away if it is
 * a regular file.  Verifies a compressed one that has no index, as a whole.  label: the path, to be printed.  cache: at
 * most so many bytes.
 * Errors: those of input_open_image(), blockz_map_read() and blockz_verify().
 */
enum blockz_status base_open(struct base *base, const char *path, const char *label, uint64_t cache,
			     struct blockz_fault *fault);

/* Copies an image that cannot be read piece by piece to a store of at least its size.  The file stays locked. */
enum blockz_status base_copy(struct base *base, struct blockz_pages *pages, struct blockz_fault *fault);

/* The map of a compressed image, or NULL. */
const struct blockz_map *base_map(const struct base *base);

/* The store that the lock is on, or NULL. */
const struct blockz_store *base_store(const struct base *base);

/* Adds the file to the sources of an output; nothing where none is open. */
void base_add_to(const struct base *base, struct audience *audience);

/* Fine for zeros, and twice. */
void base_close(struct base *base);

#endif
