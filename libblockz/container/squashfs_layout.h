/* SPDX-License-Identifier: BSD-3-Clause */
/* Constants of SquashFS 4.0, little-endian throughout: Documentation/filesystems/squashfs.rst of Linux. */
#ifndef CONTAINER_SQUASHFS_LAYOUT_H
#define CONTAINER_SQUASHFS_LAYOUT_H

#include <stdint.h>

#define SQUASHFS_MAGIC       "hsqs"
#define SQUASHFS_MAGIC_SWAP  "sqsh" /* big-endian, before version 4 */
#define SQUASHFS_INVALID     UINT64_MAX /* where a table would start that is not there */
#define SQUASHFS_NO_FRAGMENT UINT32_MAX

enum {
	SQUASHFS_MAGIC_LEN = 4,
	SQUASHFS_MAJOR = 4,
	SQUASHFS_MINOR = 0,
	SQUASHFS_BLOCK_LOG_MIN = 12,
	SQUASHFS_BLOCK_LOG_MAX = 20,
	SQUASHFS_OPTIONS = 1 << 10, /* of the flags: compressor options stand behind the superblock */
};

/* Offsets in the superblock. */
enum {
	SUPER_INODES = 4,
	SUPER_BLOCK_SIZE = 12,
	SUPER_FRAGMENTS = 16,
	SUPER_COMPRESSION = 20,
	SUPER_BLOCK_LOG = 22,
	SUPER_FLAGS = 24,
	SUPER_IDS = 26,
	SUPER_MAJOR = 28,
	SUPER_MINOR = 30,
	SUPER_BYTES_USED = 40,
	SUPER_ID_TABLE = 48,
	SUPER_XATTR_ID_TABLE = 56,
	SUPER_INODE_TABLE = 64,
	SUPER_DIRECTORY_TABLE = 72,
	SUPER_FRAGMENT_TABLE = 80,
	SUPER_LOOKUP_TABLE = 88,
	SUPER_LEN = 96,
};

/* Sizes in the inode and in the fragment table. */
enum {
	DATA_STORED = 1 << 24, /* not compressed */
	DATA_LEN_MASK = DATA_STORED - 1,
};

/* Metadata blocks: a header of two bytes, then so many. */
enum {
	META_HEADER_LEN = 2,
	META_STORED = 1 << 15, /* of the header: not compressed */
	META_LEN_MAX = 8192,   /* decoded */
};

/* What tables consist of, and how long one is. */
enum {
	INDEX_ENTRY_LEN = 8,
	ID_ENTRY_LEN = 4,
	LOOKUP_ENTRY_LEN = 8,
	XATTR_ID_ENTRY_LEN = 16,
	XATTR_ID_HEAD_LEN = 16, /* xattr_table_start(8), xattr_ids(4), unused(4): stands before the index */
	XATTR_IDS = 8,
	FRAGMENT_ENTRY_LEN = 16, /* start_block(8), size(4), unused(4) */
	FRAGMENT_SIZE = 8,
};

enum inode_type {
	INODE_DIR = 1, INODE_FILE, INODE_SYMLINK, INODE_BLKDEV, INODE_CHRDEV, INODE_FIFO, INODE_SOCKET,
	INODE_LDIR, INODE_LFILE, INODE_LSYMLINK, INODE_LBLKDEV, INODE_LCHRDEV, INODE_LFIFO, INODE_LSOCKET,
	INODE_TYPES,
};

/* Lengths of inodes, without the lists and names that may follow; and offsets in them. */
enum {
	INODE_TYPE_LEN = 2,
	INODE_DIR_LEN = 32,
	INODE_FILE_LEN = 32,
	FILE_START = 16,
	FILE_FRAGMENT = 20,
	FILE_OFFSET = 24,
	FILE_SIZE = 28,
	INODE_SYMLINK_LEN = 24,
	SYMLINK_SIZE = 20,
	INODE_DEV_LEN = 24,
	INODE_IPC_LEN = 20,
	INODE_LDIR_LEN = 40,
	LDIR_INDEXES = 32,
	DIR_INDEX_LEN = 12, /* index(4), start_block(4), size(4): of the name that follows, minus one */
	DIR_INDEX_SIZE = 8,
	INODE_LFILE_LEN = 56,
	LFILE_START = 16,
	LFILE_SIZE = 24,
	LFILE_FRAGMENT = 44,
	LFILE_OFFSET = 48,
	LSYMLINK_XATTR_LEN = 4, /* behind the name */
	INODE_LDEV_LEN = 28,
	INODE_LIPC_LEN = 24,
	INODE_LEN_MAX = INODE_LFILE_LEN,
};

#endif
