/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * SquashFS 4.0: the blocks of its files, its fragments and its metadata.  A reader of our own, because libsquashfs reads no
 * LZO images, wants a file object of its own kind, and is licensed under the LGPL.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "container/squashfs.h"
#include "base/fault.h"
#include "container/container.h"

static bool matches(const uint8_t *head, size_t len)
{
	return len >= SQUASHFS_MAGIC_LEN && (memcmp(head, SQUASHFS_MAGIC, SQUASHFS_MAGIC_LEN) == 0 ||
					     memcmp(head, SQUASHFS_MAGIC_SWAP, SQUASHFS_MAGIC_LEN) == 0);
}

static enum blockz_status add_fragments(struct squashfs *fs, struct blockz_fault *fault)
{
	enum blockz_status status = BLOCKZ_OK;
	for (size_t i = 0; i < fs->fragment_count && status == BLOCKZ_OK; i++) {
		const struct fragment *fragment = &fs->fragments[i];
		if (fragment->plain_len > 0)
			status = squashfs_add_data(fs, fragment->file_off, fragment->size, fragment->plain_len, fault);
	}
	return status;
}

/* Tables without an index end where something else begins. */
static enum blockz_status read_image(struct squashfs *fs, struct blockz_fault *fault)
{
	enum { INODES, DIRECTORIES, XATTRS };
	enum blockz_status status;
	fs->bounds[INODES] = fs->super.inode_table;
	fs->bounds[DIRECTORIES] = fs->super.directory_table;
	fs->bounds[XATTRS] = fs->xattr_table = fs->super.bytes_used;
	fs->bound_count = XATTRS + 1;
	status = squashfs_tables_read(fs, fault);
	fs->bounds[XATTRS] = fs->xattr_table;
	if (status != BLOCKZ_OK)
		return status;
	status = squashfs_inodes_read(fs, squashfs_table_end(fs, INODES), fault);
	if (status != BLOCKZ_OK)
		return status;
	status = squashfs_meta_walk(fs, fs->super.directory_table, squashfs_table_end(fs, DIRECTORIES), fault);
	if (status != BLOCKZ_OK)
		return status;
	status = squashfs_meta_walk(fs, fs->xattr_table, squashfs_table_end(fs, XATTRS), fault);
	return status == BLOCKZ_OK ? add_fragments(fs, fault) : status;
}

static void describe(const struct super *super, struct blocks *blocks)
{
	const struct codec *codec = codec_at(super->codec);
	const char *name = codec->squashfs_name != NULL ? codec->squashfs_name : codec->name;
	uint32_t kib = super->block_size / 1024;
	bool mib = kib >= 1024;
	snprintf(blocks->container, sizeof(blocks->container), "squashfs %s %u%c", name, (unsigned)(mib ? kib / 1024 : kib),
		 mib ? 'M' : 'K');
}

static enum blockz_status read_squashfs(const struct blockz_source *file, const struct codec_env *env,
					struct blocks *blocks, struct blockz_fault *fault)
{
	struct squashfs *fs = calloc(1, sizeof(*fs));
	if (fs == NULL)
		return fault_nomem(fault);
	fs->file = file;
	fs->contexts.env = env;
	enum blockz_status status = squashfs_super_read(file, &fs->super, fault);
	if (status == BLOCKZ_OK && fs->super.codec == CODEC_LZO && env->lzo == NULL)
		status = fault_set(fault, BLOCKZ_UNSUPPORTED, BLOCKZ_UNKNOWN,
				   "LZO needs the program blockz-lzo, of blockz built with liblzo2; all stays packed");
	if (status == BLOCKZ_OK) {
		blocks->size = fs->super.bytes_used;
		describe(&fs->super, blocks);
		status = read_image(fs, fault);
	}
	if (status == BLOCKZ_OK)
		status = block_set_list(&fs->blocks, blocks, fault);
	if (status == BLOCKZ_OK)
		status = squashfs_suggest(file, &fs->super, blocks, fault);
	block_set_free(&fs->blocks);
	codec_contexts_free(&fs->contexts);
	free(fs->fragments);
	free(fs);
	return status;
}

const struct container container_squashfs = {
	.name = "squashfs",
	.matches = matches,
	.read = read_squashfs,
};
