/* SPDX-License-Identifier: BSD-3-Clause */
/* The superblock: every number in it is held to its limits before anything is read by it. */
#include <inttypes.h>
#include <string.h>

#include "base/bytes.h"
#include "base/fault.h"
#include "container/squashfs.h"
#include "io/access.h"

/* By the number in the superblock. */
static const enum codec_id codecs[] = {
	[1] = CODEC_ZLIB, [2] = CODEC_LZMA, [3] = CODEC_LZO, [4] = CODEC_XZ, [5] = CODEC_LZ4, [6] = CODEC_ZSTD,
};

static enum blockz_status check_version(const uint8_t *bytes, struct blockz_fault *fault)
{
	unsigned major = load_le16(bytes + SUPER_MAJOR), minor = load_le16(bytes + SUPER_MINOR);
	if (memcmp(bytes, SQUASHFS_MAGIC_SWAP, SQUASHFS_MAGIC_LEN) == 0)
		return fault_set(fault, BLOCKZ_UNSUPPORTED, 0, "big-endian SquashFS, expected 4.0, which is little-endian");
	if (major != SQUASHFS_MAJOR || minor != SQUASHFS_MINOR)
		return fault_set(fault, BLOCKZ_UNSUPPORTED, SUPER_MAJOR, "SquashFS %u.%u, expected 4.0", major, minor);
	return BLOCKZ_OK;
}

/* Tables start behind the superblock and within the image, or are not there. */
static enum blockz_status load_start(const uint8_t *bytes, size_t field, uint64_t bytes_used, bool required,
				     uint64_t *start_ret, struct blockz_fault *fault)
{
	uint64_t start = load_le64(bytes + field);
	if ((start == SQUASHFS_INVALID && !required) || (start >= SUPER_LEN && start <= bytes_used)) {
		*start_ret = start;
		return BLOCKZ_OK;
	}
	return fault_set(fault, BLOCKZ_DAMAGED, field, "a table starts at %" PRIu64 " in an image of %" PRIu64 " bytes", start,
			 bytes_used);
}

static enum blockz_status load_starts(const uint8_t *bytes, struct super *super, struct blockz_fault *fault)
{
	const struct {
		size_t field;
		bool required;
		uint64_t *start;
	} starts[] = {
		{ SUPER_ID_TABLE, true, &super->id_table },
		{ SUPER_XATTR_ID_TABLE, false, &super->xattr_id_table },
		{ SUPER_INODE_TABLE, true, &super->inode_table },
		{ SUPER_DIRECTORY_TABLE, true, &super->directory_table },
		{ SUPER_FRAGMENT_TABLE, super->fragments > 0, &super->fragment_table },
		{ SUPER_LOOKUP_TABLE, false, &super->lookup_table },
	};
	enum blockz_status status = BLOCKZ_OK;
	for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]) && status == BLOCKZ_OK; i++)
		status = load_start(bytes, starts[i].field, super->bytes_used, starts[i].required, starts[i].start, fault);
	return status;
}

enum blockz_status squashfs_super_read(const struct blockz_source *file, struct super *super_ret,
				       struct blockz_fault *fault)
{
	uint8_t bytes[SUPER_LEN];
	enum blockz_status status = read_file(file, bytes, sizeof(bytes), 0, fault);
	if (status != BLOCKZ_OK)
		return status;
	status = check_version(bytes, fault);
	if (status != BLOCKZ_OK)
		return status;
	struct super super = {
		.bytes_used = load_le64(bytes + SUPER_BYTES_USED),
		.inodes = load_le32(bytes + SUPER_INODES),
		.block_size = load_le32(bytes + SUPER_BLOCK_SIZE),
		.fragments = load_le32(bytes + SUPER_FRAGMENTS),
		.flags = load_le16(bytes + SUPER_FLAGS),
		.ids = load_le16(bytes + SUPER_IDS),
	};
	unsigned log = load_le16(bytes + SUPER_BLOCK_LOG), compression = load_le16(bytes + SUPER_COMPRESSION);
	if (log < SQUASHFS_BLOCK_LOG_MIN || log > SQUASHFS_BLOCK_LOG_MAX || super.block_size != UINT32_C(1) << log)
		return fault_set(fault, BLOCKZ_DAMAGED, SUPER_BLOCK_SIZE, "blocks of %" PRIu32 " bytes, and 2 to the %u",
				 super.block_size, log);
	if (compression == 0 || compression >= sizeof(codecs) / sizeof(codecs[0]))
		return fault_set(fault, BLOCKZ_UNSUPPORTED, SUPER_COMPRESSION, "unknown compression %u", compression);
	if (super.bytes_used < SUPER_LEN || super.bytes_used > file->size)
		return fault_set(fault, BLOCKZ_DAMAGED, SUPER_BYTES_USED,
				 "an image of %" PRIu64 " bytes in a file of %" PRIu64, super.bytes_used, file->size);
	super.codec = codecs[compression];
	status = load_starts(bytes, &super, fault);
	if (status == BLOCKZ_OK)
		*super_ret = super;
	return status;
}
