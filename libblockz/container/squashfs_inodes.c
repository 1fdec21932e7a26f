/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Inodes, in the order of their table: directories need not be walked, so nothing can lead around in circles.
 */
#include <inttypes.h>

#include "base/bytes.h"
#include "base/checked.h"
#include "base/fault.h"
#include "container/squashfs.h"

enum { SIZES_PART = 512 };

/* What the two kinds of file inodes say alike. */
struct file_inode {
	uint64_t start, size;
	uint32_t fragment, offset;
};

static const uint8_t inode_lens[INODE_TYPES] = {
	[INODE_DIR] = INODE_DIR_LEN,         [INODE_LDIR] = INODE_LDIR_LEN,
	[INODE_FILE] = INODE_FILE_LEN,       [INODE_LFILE] = INODE_LFILE_LEN,
	[INODE_SYMLINK] = INODE_SYMLINK_LEN, [INODE_LSYMLINK] = INODE_SYMLINK_LEN,
	[INODE_BLKDEV] = INODE_DEV_LEN,      [INODE_LBLKDEV] = INODE_LDEV_LEN,
	[INODE_CHRDEV] = INODE_DEV_LEN,      [INODE_LCHRDEV] = INODE_LDEV_LEN,
	[INODE_FIFO] = INODE_IPC_LEN,        [INODE_LFIFO] = INODE_LIPC_LEN,
	[INODE_SOCKET] = INODE_IPC_LEN,      [INODE_LSOCKET] = INODE_LIPC_LEN,
};

enum blockz_status squashfs_add_data(struct squashfs *fs, uint64_t off, uint32_t size, uint32_t plain_len,
				     struct blockz_fault *fault)
{
	uint32_t len = size & DATA_LEN_MASK, rest = size & ~(uint32_t)(DATA_LEN_MASK | DATA_STORED);
	bool stored = (size & DATA_STORED) != 0;
	const struct block block = {
		.file_off = off,
		.file_len = len,
		.plain_len = plain_len,
		.codec = stored ? CODEC_STORED : (uint8_t)fs->super.codec,
	};
	if (off < SUPER_LEN || off > fs->super.bytes_used || len > fs->super.bytes_used - off)
		return fault_set(fault, BLOCKZ_DAMAGED, off, "a block of %" PRIu32 " bytes, which is not within the image", len);
	if (rest != 0 || len == 0 || len > fs->super.block_size || (stored && len != plain_len))
		return fault_set(fault, BLOCKZ_DAMAGED, off,
				 "a %s block of size field 0x%" PRIx32 ", expected to decode to %" PRIu32 " bytes",
				 stored ? "stored" : "compressed", size, plain_len);
	return block_set_add(&fs->blocks, &block, fault);
}

/* The sizes of a file's blocks, and so the blocks. */
static enum blockz_status read_blocks(struct meta_stream *stream, const struct file_inode *file, uint64_t count,
				      struct blockz_fault *fault)
{
	uint8_t sizes[SIZES_PART * sizeof(uint32_t)];
	uint64_t off = file->start, block_size = stream->fs->super.block_size;
	for (uint64_t i = 0; i < count; i++) {
		size_t at = i % SIZES_PART;
		enum blockz_status status = BLOCKZ_OK;
		if (at == 0)
			status = meta_stream_read(stream, sizes, min(count - i, SIZES_PART) * sizeof(uint32_t), fault);
		if (status != BLOCKZ_OK)
			return status;
		uint32_t size = load_le32(sizes + at * sizeof(uint32_t));
		if (size == 0)
			continue; /* zeros */
		status = squashfs_add_data(stream->fs, off, size, (uint32_t)min(file->size - i * block_size, block_size), fault);
		if (status != BLOCKZ_OK)
			return status;
		off += size & DATA_LEN_MASK;
	}
	return BLOCKZ_OK;
}

static enum blockz_status read_file_inode(struct meta_stream *stream, const struct file_inode *file,
					  struct blockz_fault *fault)
{
	struct squashfs *fs = stream->fs;
	uint64_t block_size = fs->super.block_size, tail = file->size % block_size, count = file->size / block_size;
	if (file->fragment == SQUASHFS_NO_FRAGMENT)
		return read_blocks(stream, file, count + (tail != 0), fault);
	if (file->fragment >= fs->fragment_count || file->offset > block_size - tail)
		return fault_set(fault, BLOCKZ_DAMAGED, stream->off,
				 "a file's end is at byte %" PRIu32 " of fragment %" PRIu32 ", and there are %zu", file->offset,
				 file->fragment, fs->fragment_count);
	struct fragment *fragment = &fs->fragments[file->fragment];
	uint32_t end = file->offset + (uint32_t)tail;
	if (fragment->plain_len < end)
		fragment->plain_len = end;
	return read_blocks(stream, file, count, fault);
}

static enum blockz_status skip_dir_indexes(struct meta_stream *stream, unsigned count, struct blockz_fault *fault)
{
	uint8_t index[DIR_INDEX_LEN];
	enum blockz_status status = BLOCKZ_OK;
	for (unsigned i = 0; i < count && status == BLOCKZ_OK; i++) {
		status = meta_stream_read(stream, index, sizeof(index), fault);
		if (status == BLOCKZ_OK)
			status = meta_stream_read(stream, NULL, (uint64_t)load_le32(index + DIR_INDEX_SIZE) + 1, fault);
	}
	return status;
}

static enum blockz_status read_inode(struct meta_stream *stream, struct blockz_fault *fault)
{
	uint8_t inode[INODE_LEN_MAX];
	enum blockz_status status = meta_stream_read(stream, inode, INODE_TYPE_LEN, fault);
	if (status != BLOCKZ_OK)
		return status;
	unsigned type = load_le16(inode);
	if (type >= INODE_TYPES || inode_lens[type] == 0)
		return fault_set(fault, BLOCKZ_DAMAGED, stream->off, "an inode of type %u before this", type);
	status = meta_stream_read(stream, inode + INODE_TYPE_LEN, inode_lens[type] - INODE_TYPE_LEN, fault);
	if (status != BLOCKZ_OK)
		return status;
	switch (type) {
	case INODE_FILE:
		return read_file_inode(stream, &(struct file_inode){
			.start = load_le32(inode + FILE_START), .size = load_le32(inode + FILE_SIZE),
			.fragment = load_le32(inode + FILE_FRAGMENT), .offset = load_le32(inode + FILE_OFFSET),
		}, fault);
	case INODE_LFILE:
		return read_file_inode(stream, &(struct file_inode){
			.start = load_le64(inode + LFILE_START), .size = load_le64(inode + LFILE_SIZE),
			.fragment = load_le32(inode + LFILE_FRAGMENT), .offset = load_le32(inode + LFILE_OFFSET),
		}, fault);
	case INODE_SYMLINK:
		return meta_stream_read(stream, NULL, load_le32(inode + SYMLINK_SIZE), fault);
	case INODE_LSYMLINK:
		return meta_stream_read(stream, NULL, (uint64_t)load_le32(inode + SYMLINK_SIZE) + LSYMLINK_XATTR_LEN, fault);
	case INODE_LDIR:
		return skip_dir_indexes(stream, load_le16(inode + LDIR_INDEXES), fault);
	default:
		return BLOCKZ_OK;
	}
}

enum blockz_status squashfs_inodes_read(struct squashfs *fs, uint64_t end, struct blockz_fault *fault)
{
	struct meta_stream stream = { .fs = fs, .off = fs->super.inode_table, .end = end };
	enum blockz_status status = BLOCKZ_OK;
	for (uint32_t i = 0; i < fs->super.inodes && status == BLOCKZ_OK; i++)
		status = read_inode(&stream, fault);
	return status == BLOCKZ_OK ? squashfs_meta_walk(fs, stream.off, end, fault) : status;
}
