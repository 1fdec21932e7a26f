/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the parts of the SquashFS reader have in common: superblock, metadata, tables, inodes, options.  One struct squashfs
 * lives as long as its image is read; everything in it is hostile, and nothing is asked of the kernel.
 */
#ifndef CONTAINER_SQUASHFS_H
#define CONTAINER_SQUASHFS_H

#include "container/block_set.h"
#include "container/squashfs_layout.h"
#include "format/format.h"

/* ---- Superblock ---- */

struct super {
	uint64_t bytes_used;
	uint64_t id_table, xattr_id_table, inode_table, directory_table, fragment_table, lookup_table;
	uint32_t inodes, block_size, fragments;
	uint16_t flags, ids;
	enum codec_id codec;
};

/* Reads and checks the superblock.  Errors: BLOCKZ_DAMAGED, BLOCKZ_UNSUPPORTED, BLOCKZ_FAILED. */
enum blockz_status squashfs_super_read(const struct blockz_source *file, struct super *super_ret,
				       struct blockz_fault *fault);

/* ---- An image while it is being read ---- */

enum { BOUNDS_MAX = 12 };

struct fragment {
	uint64_t file_off;
	uint32_t size;      /* with DATA_STORED */
	uint32_t plain_len; /* as far as files use it */
};

struct squashfs {
	const struct blockz_source *file;
	struct super super;
	struct codec_contexts contexts;
	struct block_set blocks;
	struct fragment *fragments;
	size_t fragment_count;
	/* Where something else begins than the table before. */
	uint64_t bounds[BOUNDS_MAX];
	size_t bound_count;
	uint64_t xattr_table; /* of the pairs of names and values; SQUASHFS_INVALID: none */
	uint8_t in[META_HEADER_LEN + META_LEN_MAX], out[META_LEN_MAX + DECODE_SLACK];
};

/* Adds a block of content.  len and plain_len are not 0.  Errors: BLOCKZ_DAMAGED, BLOCKZ_LIMIT, BLOCKZ_FAILED. */
enum blockz_status squashfs_add_data(struct squashfs *fs, uint64_t off, uint32_t size, uint32_t plain_len,
				     struct blockz_fault *fault);

/* ---- Metadata ---- */

/*
 * Adds the metadata block whose header is at off, and which ends at or before end.  plain_len: what it decodes to; 0: that
 * is found out.  decode: fs->out gets its content, block->plain_len bytes.  Errors: BLOCKZ_DAMAGED, BLOCKZ_LIMIT,
 * BLOCKZ_FAILED.
 */
enum blockz_status squashfs_meta_read(struct squashfs *fs, uint64_t off, uint64_t end, uint32_t plain_len, bool decode,
				      struct block *block_ret, struct blockz_fault *fault);

/* Adds all metadata blocks of [start, end), which they fill.  Errors: as above. */
enum blockz_status squashfs_meta_walk(struct squashfs *fs, uint64_t start, uint64_t end, struct blockz_fault *fault);

/* The content of metadata blocks that stand one behind the other, in order. */
struct meta_stream {
	struct squashfs *fs;
	uint64_t off, end; /* of the blocks that have not been read yet */
	size_t pos, len;   /* what is left of the last, in fs->out */
};

/* Reads the next len bytes to buf; NULL: they are passed over.  Errors: as above. */
enum blockz_status meta_stream_read(struct meta_stream *stream, void *buf, uint64_t len, struct blockz_fault *fault);

/* ---- Tables and inodes ---- */

/* Reads the tables with an index (IDs, lookup, fragments, extended attributes) and sets the bounds.  Errors: as above. */
enum blockz_status squashfs_tables_read(struct squashfs *fs, struct blockz_fault *fault);

/* The first bound at or behind a table's start, other than that start itself, which is bounds[own]. */
uint64_t squashfs_table_end(const struct squashfs *fs, size_t own);

/* Reads all inodes, and adds the blocks of files.  Errors: as above. */
enum blockz_status squashfs_inodes_read(struct squashfs *fs, uint64_t end, struct blockz_fault *fault);

/* ---- Options ---- */

/* Suggests what the image may have been written with.  Errors: BLOCKZ_DAMAGED, BLOCKZ_FAILED. */
enum blockz_status squashfs_suggest(const struct blockz_source *file, const struct super *super, struct blocks *blocks,
				    struct blockz_fault *fault);

#endif
