/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Block maps, as bmaptool(1) makes and reads them: which blocks of an image hold data and have to be written to a
 * medium, with a SHA-256 over each range of them.  What is read is version 2.0 (and 1.4, which is the same by another
 * name) with SHA-256; what is written is 2.0.
 *
 * This folder reads, makes and updates them.  It calls patch/ for the edits that an update follows, files/ and cli/; it trusts
 * nothing that stands in a map, and never changes an image.
 */
#ifndef BMAP_BMAP_H
#define BMAP_BMAP_H

#include "blockz.h"
#include "files/digest.h"

enum {
	BMAP_BLOCK_SIZE = 4096,    /* of the maps that are made */
	BMAP_RANGES_MAX = 1 << 19,
	BMAP_FILE_MAX = 64 << 20,
};

/* A mapped range of blocks. */
struct bmap_range {
	uint64_t first, end;      /* end is exclusive */
	char sha256[DIGEST_HEX];  /* over the blocks, as far as the image reaches; "": none */
};

/* Starts as zeros, and with both sizes set. */
struct bmap {
	uint64_t image_size, block_size; /* bytes */
	struct bmap_range *items;        /* ascending, disjoint; neighbours may touch */
	size_t count;
	/* Private. */
	size_t room;
};

/* How many blocks the image has. */
uint64_t bmap_blocks(const struct bmap *bmap);

/* The bytes of the image in blocks [first, end). */
struct blockz_range bmap_bytes(const struct bmap *bmap, uint64_t first, uint64_t end);

/* Adds a range behind the last.  Errors: BLOCKZ_LIMIT (BMAP_RANGES_MAX), BLOCKZ_FAILED. */
enum blockz_status bmap_append(struct bmap *bmap, const struct bmap_range *range, struct blockz_fault *fault);

/*
 * Reads the map at path and checks it against its own checksum.
 * Errors: BLOCKZ_DAMAGED (with the number of the line), BLOCKZ_UNSUPPORTED (another version or kind of checksum),
 * BLOCKZ_LIMIT (BMAP_FILE_MAX, BMAP_RANGES_MAX), BLOCKZ_FAILED.
 */
enum blockz_status bmap_read(struct bmap *bmap, const char *path, struct blockz_fault *fault);

/* Writes the map, with its checksum, to fd.  Errors: BLOCKZ_FAILED. */
enum blockz_status bmap_write(const struct bmap *bmap, int fd, struct blockz_fault *fault);

/* Fine for zeros, and twice. */
void bmap_free(struct bmap *bmap);

#endif
