/* SPDX-License-Identifier: BSD-3-Clause */
/* Tables whose metadata blocks are listed in an index: the offsets in it tell where other tables end, too. */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/array.h"
#include "base/bytes.h"
#include "base/checked.h"
#include "base/fault.h"
#include "container/squashfs.h"
#include "io/access.h"

enum { INDEX_PART = 512 };

/* A table of metadata blocks, whose offsets stand in an index. */
struct table {
	uint64_t index_off;
	uint64_t entries;
	uint32_t entry_len; /* divides META_LEN_MAX */
	/* Gets each block's content; NULL: it is of no interest. */
	enum blockz_status (*take)(struct squashfs *fs, const uint8_t *content, size_t len, struct blockz_fault *fault);
};

static void add_bound(struct squashfs *fs, uint64_t off)
{
	assert(fs->bound_count < BOUNDS_MAX);
	fs->bounds[fs->bound_count++] = off;
}

uint64_t squashfs_table_end(const struct squashfs *fs, size_t own)
{
	uint64_t end = fs->super.bytes_used;
	for (size_t i = 0; i < fs->bound_count; i++)
		if (i != own && fs->bounds[i] >= fs->bounds[own])
			end = min(end, fs->bounds[i]);
	return end;
}

/* One block of a table, of which `left` bytes are still to come.  Blocks ascend, so that none is read twice. */
static enum blockz_status read_block(struct squashfs *fs, const struct table *table, uint64_t off, uint64_t left,
				     uint64_t *pos, struct blockz_fault *fault)
{
	struct block block;
	if (off < *pos)
		return fault_set(fault, BLOCKZ_DAMAGED, table->index_off,
				 "an index leads back to %" PRIu64 ", expected at least %" PRIu64, off, *pos);
	enum blockz_status status = squashfs_meta_read(fs, off, table->index_off, (uint32_t)min(left, META_LEN_MAX),
						       table->take != NULL, &block, fault);
	if (status != BLOCKZ_OK)
		return status;
	*pos = block.file_off + block.file_len;
	return table->take != NULL ? table->take(fs, fs->out, block.plain_len, fault) : BLOCKZ_OK;
}

static enum blockz_status read_table(struct squashfs *fs, const struct table *table, struct blockz_fault *fault)
{
	uint8_t index[INDEX_PART * INDEX_ENTRY_LEN];
	uint64_t left = table->entries * table->entry_len, pos = SUPER_LEN, index_off = table->index_off;
	uint64_t blocks = (left + META_LEN_MAX - 1) / META_LEN_MAX;
	if (index_off > fs->super.bytes_used || blocks > (fs->super.bytes_used - index_off) / INDEX_ENTRY_LEN)
		return fault_set(fault, BLOCKZ_DAMAGED, index_off, "an index of %" PRIu64 " entries ends behind the image",
				 blocks);
	add_bound(fs, index_off);
	for (uint64_t i = 0; i < blocks; i++) {
		size_t at = i % INDEX_PART;
		enum blockz_status status = BLOCKZ_OK;
		if (at == 0)
			status = read_file(fs->file, index, (size_t)min(blocks - i, INDEX_PART) * INDEX_ENTRY_LEN,
					   index_off + i * INDEX_ENTRY_LEN, fault);
		if (status != BLOCKZ_OK)
			return status;
		if (i == 0)
			add_bound(fs, load_le64(index));
		status = read_block(fs, table, load_le64(index + at * INDEX_ENTRY_LEN), left, &pos, fault);
		if (status != BLOCKZ_OK)
			return status;
		left -= min(left, META_LEN_MAX);
	}
	return BLOCKZ_OK;
}

static enum blockz_status take_fragments(struct squashfs *fs, const uint8_t *content, size_t len,
					 struct blockz_fault *fault)
{
	for (size_t i = 0; i < len; i += FRAGMENT_ENTRY_LEN) {
		const uint8_t *entry = content + i;
		struct fragment *room = array_room(fs->fragments, fs->fragment_count, sizeof(*room));
		if (room == NULL)
			return fault_nomem(fault);
		fs->fragments = room;
		fs->fragments[fs->fragment_count++] = (struct fragment){
			.file_off = load_le64(entry),
			.size = load_le32(entry + FRAGMENT_SIZE),
		};
	}
	return BLOCKZ_OK;
}

static enum blockz_status read_fragments(struct squashfs *fs, struct blockz_fault *fault)
{
	const struct table table = {
		fs->super.fragment_table, fs->super.fragments, FRAGMENT_ENTRY_LEN, take_fragments,
	};
	if (fs->super.fragments == 0)
		return BLOCKZ_OK;
	/* They are blocks of their own, and each has a byte at least. */
	if (fs->super.fragments > fs->super.bytes_used)
		return fault_set(fault, BLOCKZ_DAMAGED, SUPER_FRAGMENTS, "%" PRIu32 " fragments in an image of %" PRIu64 " bytes",
				 fs->super.fragments, fs->super.bytes_used);
	if (fs->super.fragments > BLOCK_SET_MAX)
		return fault_set(fault, BLOCKZ_LIMIT, SUPER_FRAGMENTS, "more than %d fragments", BLOCK_SET_MAX);
	return read_table(fs, &table, fault);
}

static enum blockz_status read_xattr_ids(struct squashfs *fs, struct blockz_fault *fault)
{
	uint8_t head[XATTR_ID_HEAD_LEN];
	uint64_t off = fs->super.xattr_id_table;
	if (off == SQUASHFS_INVALID)
		return BLOCKZ_OK;
	if (fs->super.bytes_used - off < sizeof(head))
		return fault_set(fault, BLOCKZ_DAMAGED, off, "the table of extended attributes ends behind the image");
	enum blockz_status status = read_file(fs->file, head, sizeof(head), off, fault);
	if (status != BLOCKZ_OK)
		return status;
	const struct table table = { off + sizeof(head), load_le32(head + XATTR_IDS), XATTR_ID_ENTRY_LEN, NULL };
	if (load_le64(head) < SUPER_LEN || load_le64(head) > off)
		return fault_set(fault, BLOCKZ_DAMAGED, off, "extended attributes start at %" PRIu64 ", before %" PRIu64
				 " expected", load_le64(head), off);
	add_bound(fs, off);
	if (table.entries == 0)
		return BLOCKZ_OK;
	fs->xattr_table = load_le64(head);
	return read_table(fs, &table, fault);
}

enum blockz_status squashfs_tables_read(struct squashfs *fs, struct blockz_fault *fault)
{
	const struct table ids = { fs->super.id_table, fs->super.ids, ID_ENTRY_LEN, NULL };
	const struct table lookup = { fs->super.lookup_table, fs->super.inodes, LOOKUP_ENTRY_LEN, NULL };
	enum blockz_status status = read_table(fs, &ids, fault);
	if (status != BLOCKZ_OK)
		return status;
	if (fs->super.lookup_table != SQUASHFS_INVALID)
		status = read_table(fs, &lookup, fault);
	if (status != BLOCKZ_OK)
		return status;
	status = read_fragments(fs, fault);
	return status == BLOCKZ_OK ? read_xattr_ids(fs, fault) : status;
}
