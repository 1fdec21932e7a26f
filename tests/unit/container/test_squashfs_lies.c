/* SPDX-License-Identifier: BSD-3-Clause */
/* SquashFS images made by hand: larger than any disk here, or telling what is not so. */
#include <string.h>
#include <zlib.h>

#include "base/bytes.h"
#include "container/squashfs_layout.h"
#include "sparse.h"
#include "taken_apart.h"

enum { BLOCK = 4096, TABLES_MAX = 1 << 20, INODES_MAX = 200000 };

/* An image of 4 KiB blocks, whose tables begin at `base`; no directories, one ID, no fragments. */
struct crafted {
	struct bytes super, tables;
	uint64_t base;
	size_t len; /* of the tables, so far */
};

static void put(struct crafted *self, const void *bytes, size_t len)
{
	ck_assert_uint_le(self->len + len, self->tables.len);
	memcpy(self->tables.data + self->len, bytes, len);
	self->len += len;
}

static void put_metadata(struct crafted *self, const uint8_t *content, size_t len)
{
	uint8_t header[META_HEADER_LEN], packed[2 * META_LEN_MAX];
	uLongf packed_len = sizeof(packed);
	ck_assert_int_eq(compress2(packed, &packed_len, content, len, 9), Z_OK);
	bool stored = packed_len >= len;
	store_le16(header, (uint16_t)(stored ? META_STORED | len : packed_len));
	put(self, header, sizeof(header));
	put(self, stored ? content : packed, stored ? len : packed_len);
}

static struct crafted craft(uint64_t base, const uint8_t *inodes, size_t len, uint32_t count)
{
	static const uint8_t id[ID_ENTRY_LEN] = { 0 };
	struct crafted self = { bytes_new(SUPER_LEN), bytes_new(TABLES_MAX), base, 0 };
	uint8_t *super = self.super.data, entry[INDEX_ENTRY_LEN];
	memcpy(super, SQUASHFS_MAGIC, SQUASHFS_MAGIC_LEN);
	store_le32(super + SUPER_INODES, count);
	store_le32(super + SUPER_BLOCK_SIZE, BLOCK);
	store_le16(super + SUPER_COMPRESSION, 1);
	store_le16(super + SUPER_BLOCK_LOG, 12);
	store_le16(super + SUPER_IDS, 1);
	store_le16(super + SUPER_MAJOR, 4);
	memset(super + SUPER_XATTR_ID_TABLE, 0xff, 8);
	memset(super + SUPER_FRAGMENT_TABLE, 0xff, 16); /* and the lookup table */
	store_le64(super + SUPER_INODE_TABLE, base);
	for (size_t pos = 0; pos < len; pos += META_LEN_MAX)
		put_metadata(&self, inodes + pos, len - pos < META_LEN_MAX ? len - pos : META_LEN_MAX);
	store_le64(super + SUPER_DIRECTORY_TABLE, base + self.len);
	store_le64(entry, base + self.len);
	put_metadata(&self, id, sizeof(id));
	store_le64(super + SUPER_ID_TABLE, base + self.len);
	put(&self, entry, sizeof(entry));
	store_le64(super + SUPER_BYTES_USED, base + self.len);
	self.tables.len = self.len;
	return self;
}

static enum blockz_status read_crafted(const struct crafted *self, struct blocks *blocks)
{
	static const struct codec_env env = { NULL };
	struct sparse image = {
		.size = self->base + self->len, .count = 2,
		.parts = { { 0, self->super }, { self->base, self->tables } },
	};
	struct blockz_source source = sparse_source(&image, false);
	enum blockz_status status = container_read(&source, &env, blocks, NULL);
	assert_list(blocks, image.size);
	return status;
}

static void assert_refused(const struct crafted *self, const char *reason)
{
	struct blocks blocks;
	ck_assert_int_eq(read_crafted(self, &blocks), BLOCKZ_OK);
	ck_assert_msg(strstr(blocks.note, reason) != NULL, "'%s' has no '%s'", blocks.note, reason);
	ck_assert_uint_eq(blocks.count, 0);
	ck_assert_str_eq(blocks.container, "plain");
	ck_assert_uint_eq(blocks.size, self->base + self->len);
	blocks_free(&blocks);
}

/* A file inode of the extended kind, with its list; returns its length. */
static size_t file_inode(uint8_t *inode, uint64_t start, uint64_t size, const uint32_t *sizes, size_t count)
{
	memset(inode, 0, INODE_LFILE_LEN);
	store_le16(inode, INODE_LFILE);
	store_le64(inode + LFILE_START, start);
	store_le64(inode + LFILE_SIZE, size);
	store_le32(inode + LFILE_FRAGMENT, SQUASHFS_NO_FRAGMENT);
	for (size_t i = 0; i < count; i++)
		store_le32(inode + INODE_LFILE_LEN + 4 * i, sizes[i]);
	return INODE_LFILE_LEN + 4 * count;
}

START_TEST(blocks_beyond_8_gib)
{
	static const uint32_t sizes[] = { DATA_STORED | BLOCK, 100, 0, DATA_STORED | 7 };
	const uint64_t start = (UINT64_C(8) << 30) + 5;
	uint8_t inode[256];
	struct blocks blocks;
	size_t len = file_inode(inode, start, 3 * BLOCK + 7, sizes, 4);
	struct crafted image = craft(start + 2 * BLOCK, inode, len, 1);
	ck_assert_int_eq(read_crafted(&image, &blocks), BLOCKZ_OK);
	ck_assert_str_eq(blocks.container, "squashfs gzip 4K");
	ck_assert_uint_eq(blocks.count, 3 + 2);
	static const struct block expected[] = {
		{ 0, BLOCK, BLOCK, CODEC_STORED, false, false }, { BLOCK, 100, BLOCK, CODEC_ZLIB, false, false },
		{ BLOCK + 100, 7, 7, CODEC_STORED, false, false },
	};
	for (size_t i = 0; i < 3; i++) {
		ck_assert_uint_eq(blocks.items[i].file_off, start + expected[i].file_off);
		ck_assert_uint_eq(blocks.items[i].file_len, expected[i].file_len);
		ck_assert_uint_eq(blocks.items[i].plain_len, expected[i].plain_len);
		ck_assert_uint_eq(blocks.items[i].codec, expected[i].codec);
		ck_assert(!blocks.items[i].is_metadata);
	}
	blocks_free(&blocks);
}
END_TEST

START_TEST(a_block_is_listed_once)
{
	static const uint32_t sizes[] = { 50 };
	uint8_t *inodes = keep(INODES_MAX * (INODE_LFILE_LEN + 4));
	struct blocks blocks;
	size_t len = 0;
	for (size_t i = 0; i < INODES_MAX; i++)
		len += file_inode(inodes + len, 1000 + 50 * (i % 3), BLOCK, sizes, 1);
	struct crafted image = craft(2000, inodes, len, INODES_MAX);
	size_t metadata = (len + META_LEN_MAX - 1) / META_LEN_MAX + 1;
	ck_assert_int_eq(read_crafted(&image, &blocks), BLOCKZ_OK);
	ck_assert_str_eq(blocks.note, "");
	ck_assert_uint_eq(blocks.count, 3 + metadata);
	for (size_t i = 0; i < 3; i++)
		ck_assert_uint_eq(blocks.items[i].file_off, 1000 + 50 * i);
	blocks_free(&blocks);
}
END_TEST

START_TEST(blocks_that_cannot_be)
{
	const struct {
		uint64_t start, size;
		uint32_t block;
		const char *reason;
	} lies[] = {
		{ 1000, BLOCK, BLOCK + 1, "size field" },        { 1000, BLOCK, DATA_STORED, "size field" },
		{ 1000, BLOCK, DATA_STORED | 5, "size field" },  { 1000, 5, DATA_STORED | 6, "size field" },
		{ 1000, BLOCK, 1u << 25 | 5, "size field" },     { 50, BLOCK, 50, "not within" },
		{ 19990, BLOCK, 50, "overlaps" },                { UINT64_MAX - 5, BLOCK, 50, "not within" },
		{ 1000, UINT64_MAX, 50, "a table ends" },        { 1000, (uint64_t)INT64_MAX, 0, "a table ends" },
	};
	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		uint8_t inode[256];
		size_t len = file_inode(inode, lies[i].start, lies[i].size, &lies[i].block, 1);
		struct crafted image = craft(20000, inode, len, 1);
		assert_refused(&image, lies[i].reason);
	}
}
END_TEST

START_TEST(blocks_that_overlap_each_other)
{
	static const uint32_t sizes[] = { 100, DATA_STORED | BLOCK };
	for (int i = 0; i < 4; i++) {
		/* By a byte; the same start; the same block, but stored; the same, but of another length decoded. */
		const uint64_t starts[] = { 5000 + 99, 5000, 5000, 5000 }, plain[] = { BLOCK, BLOCK, 100, 200 };
		const uint32_t other[] = { 50, 50, DATA_STORED | 100, 100 };
		uint8_t inodes[512];
		size_t len = file_inode(inodes, 5000, 2 * BLOCK, sizes, 2);
		len += file_inode(inodes + len, starts[i], plain[i], &other[i], 1);
		struct crafted image = craft(20000, inodes, len, 2);
		assert_refused(&image, "overlaps");
	}
}
END_TEST

START_TEST(inodes_that_cannot_be)
{
	uint8_t inode[256];
	size_t len = file_inode(inode, 1000, 0, NULL, 0);
	struct crafted image = craft(2000, inode, len, UINT32_MAX);
	assert_refused(&image, "a table ends");
	store_le32(inode + LFILE_FRAGMENT, 0);
	image = craft(2000, inode, len, 1);
	assert_refused(&image, "fragment 0");
	store_le16(inode, INODE_TYPES);
	image = craft(2000, inode, len, 1);
	assert_refused(&image, "an inode of type 15");
	store_le16(inode, 0);
	image = craft(2000, inode, len, 1);
	assert_refused(&image, "an inode of type 0");
	/* A name or a list of names that goes on and on. */
	store_le16(inode, INODE_LSYMLINK);
	store_le32(inode + SYMLINK_SIZE, UINT32_MAX);
	image = craft(2000, inode, len, 1);
	assert_refused(&image, "a table ends");
	store_le16(inode, INODE_LDIR);
	store_le16(inode + LDIR_INDEXES, UINT16_MAX);
	image = craft(2000, inode, len, 1);
	assert_refused(&image, "a table ends");
}
END_TEST

START_TEST(superblocks_that_cannot_be)
{
	const struct {
		size_t field;
		uint64_t value;
		size_t len;
		const char *reason;
	} lies[] = {
		{ SUPER_MAJOR, 3, 2, "SquashFS 3.0" },           { SUPER_MINOR, 1, 2, "SquashFS 4.1" },
		{ SUPER_COMPRESSION, 7, 2, "compression 7" },    { SUPER_COMPRESSION, 0, 2, "compression 0" },
		{ SUPER_BLOCK_LOG, 13, 2, "2 to the 13" },       { SUPER_BLOCK_SIZE, 0, 4, "blocks of 0" },
		{ SUPER_BYTES_USED, 95, 8, "95 bytes" },         { SUPER_BYTES_USED, UINT64_MAX, 8, "in a file of" },
		{ SUPER_INODE_TABLE, 5, 8, "starts at 5" },      { SUPER_INODE_TABLE, UINT64_MAX, 8, "a table starts" },
		{ SUPER_FRAGMENTS, UINT32_MAX, 4, "a table starts" }, { SUPER_IDS, UINT16_MAX, 2, "an index" },
		{ SUPER_XATTR_ID_TABLE, 2000, 8, "" },           { SUPER_LOOKUP_TABLE, 2000, 8, "" },
	};
	uint8_t inode[256];
	size_t len = file_inode(inode, 1000, 0, NULL, 0);
	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		struct crafted image = craft(2000, inode, len, 1);
		uint8_t value[8];
		store_le64(value, lies[i].value);
		memcpy(image.super.data + lies[i].field, value, lies[i].len);
		assert_refused(&image, lies[i].reason);
	}
	struct crafted image = craft(2000, inode, len, 1);
	memcpy(image.super.data, SQUASHFS_MAGIC_SWAP, SQUASHFS_MAGIC_LEN);
	assert_refused(&image, "big-endian");
}
END_TEST

/* Names in the index the same block again and again, for a table of any size. */
START_TEST(an_index_that_leads_back)
{
	uint8_t inode[256], entry[INDEX_ENTRY_LEN];
	size_t len = file_inode(inode, 1000, 0, NULL, 0);
	struct crafted image = craft(2000, inode, len, 1);
	uint64_t block = load_le64(image.super.data + SUPER_DIRECTORY_TABLE);
	image.tables.len = TABLES_MAX;
	store_le64(entry, block);
	put(&image, entry, sizeof(entry));
	store_le16(image.super.data + SUPER_IDS, META_LEN_MAX / ID_ENTRY_LEN + 1);
	store_le64(image.super.data + SUPER_BYTES_USED, image.base + image.len);
	assert_refused(&image, "metadata block of 4 bytes, expected 8192");
	/* The same, of blocks that are what they should be. */
	static uint8_t ids[META_LEN_MAX];
	store_le64(entry, image.base + image.len);
	put_metadata(&image, ids, sizeof(ids));
	store_le64(image.super.data + SUPER_ID_TABLE, image.base + image.len);
	put(&image, entry, sizeof(entry));
	put(&image, entry, sizeof(entry));
	store_le64(image.super.data + SUPER_BYTES_USED, image.base + image.len);
	assert_refused(&image, "leads back");
}
END_TEST

int main(void)
{
	TCase *c = case_new("squashfs_lies");
	tcase_add_test(c, blocks_beyond_8_gib);
	tcase_add_test(c, a_block_is_listed_once);
	tcase_add_test(c, blocks_that_cannot_be);
	tcase_add_test(c, blocks_that_overlap_each_other);
	tcase_add_test(c, inodes_that_cannot_be);
	tcase_add_test(c, superblocks_that_cannot_be);
	tcase_add_test(c, an_index_that_leads_back);
	return case_run("squashfs_lies", c);
}
