/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What mksquashfs and gensquashfs compress is encoded again to the same bytes.  Their images hold one file, so that its
 * blocks stand one behind the other, and inodes that are not compressed, or few enough to be decoded by hand: the inode of
 * the file, of kind 2, says how long the blocks are.
 */
#include <check.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "codecs.h"
#include "deltas/lzo.h"
#include "files.h"

enum {
	FILE_LEN = 9 * 128 * 1024 / 2,
	BLOCK_LEN = 128 * 1024,
	BLOCKS = (FILE_LEN + BLOCK_LEN - 1) / BLOCK_LEN,
	/* Of the superblock, and of a file's inode. */
	INODE_TABLE_OFF = 64,
	META_STORED = 0x8000,
	META_MAX = 8192,
	INODE_KIND_FILE = 2,
	INODE_FILE_LEN = 32,
	INODE_START_OFF = 16,
	INODE_SIZE_OFF = 28,
	BLOCK_STORED = 1 << 24,
	ALTERNATIVES = 3,
};

static const struct {
	const char *command; /* of mksquashfs or gensquashfs, but for source and image */
	struct codec_params content[ALTERNATIVES], metadata; /* content: one of these made a block */
} cases[] = {
	{ "mksquashfs -comp gzip", { { CODEC_ZLIB, { 9, 15, 0 } } }, { CODEC_ZLIB, { 9, 15, 0 } } },
	{ "mksquashfs -comp gzip -Xcompression-level 3 -Xwindow-size 9",
	  { { CODEC_ZLIB, { 3, 9, 0 } } },
	  { CODEC_ZLIB, { 3, 9, 0 } } },
	{ "mksquashfs -comp gzip -Xstrategy huffman_only,filtered",
	  { { CODEC_ZLIB, { 9, 15, 2 } }, { CODEC_ZLIB, { 9, 15, 1 } } },
	  { CODEC_ZLIB, { 9, 15, 0 } } },
	{ "mksquashfs -comp lzma", { { CODEC_LZMA, { 5, 0, 3, 0, 2, BLOCK_LEN } } }, { CODEC_LZMA, { 5, 0, 3, 0, 2, 8192 } } },
	{ "mksquashfs -comp xz", { { CODEC_XZ, { 6, 0, 3, 0, 2, BLOCK_LEN } } }, { CODEC_XZ, { 6, 0, 3, 0, 2, 8192 } } },
	{ "mksquashfs -comp xz -Xdict-size 64K -Xbcj x86,arm",
	  { { CODEC_XZ, { 6, 0, 3, 0, 2, 65536 } },
	    { CODEC_XZ, { 6, 0, 3, 0, 2, 65536, BCJ_X86 } },
	    { CODEC_XZ, { 6, 0, 3, 0, 2, 65536, BCJ_ARM } } },
	  { CODEC_XZ, { 6, 0, 3, 0, 2, 8192 } } },
	{ "mksquashfs -comp zstd", { { CODEC_ZSTD, { 15 } } }, { CODEC_ZSTD, { 15 } } },
	{ "mksquashfs -comp zstd -Xcompression-level 1", { { CODEC_ZSTD, { 1 } } }, { CODEC_ZSTD, { 1 } } },
	{ "mksquashfs -comp lz4", { { CODEC_LZ4, { 0 } } }, { CODEC_LZ4, { 0 } } },
	{ "mksquashfs -comp lz4 -Xhc", { { CODEC_LZ4, { 12 } } }, { CODEC_LZ4, { 12 } } },
	{ "mksquashfs -comp lzo",
	  { { CODEC_LZO, { 4, 8, 0 } }, { CODEC_LZO, { 4, 8, 1 } } },
	  { CODEC_LZO, { 4, 8, 1 } } },
	{ "mksquashfs -comp lzo -Xalgorithm lzo1x_1_15", { { CODEC_LZO, { 3, 0, 0 } } }, { CODEC_LZO, { 3, 0, 0 } } },
	{ "gensquashfs -c gzip -X level=5,window=12", { { CODEC_ZLIB, { 5, 12, 0 } } }, { CODEC_ZLIB, { 5, 12, 0 } } },
	{ "gensquashfs -c lzma -X level=2,lc=2,lp=2,pb=0",
	  { { CODEC_LZMA, { 2, 0, 2, 2, 0, BLOCK_LEN } } },
	  { CODEC_LZMA, { 2, 0, 2, 2, 0, BLOCK_LEN } } },
	{ "gensquashfs -c xz -X level=3,extreme,lc=0,lp=2",
	  { { CODEC_XZ, { 3, 0, 0, 2, 2, BLOCK_LEN } }, { CODEC_XZ, { 3, 1, 0, 2, 2, BLOCK_LEN } } },
	  { CODEC_XZ, { 3, 0, 0, 2, 2, BLOCK_LEN } } },
	{ "gensquashfs -c zstd -X level=5", { { CODEC_ZSTD, { 5 } } }, { CODEC_ZSTD, { 5 } } },
	{ "gensquashfs -c lz4 -X hc", { { CODEC_LZ4, { 12 } } }, { CODEC_LZ4, { 12 } } },
	{ "gensquashfs -c lzo -X level=3", { { CODEC_LZO, { 4, 3, 0 } } }, { CODEC_LZO, { 4, 3, 0 } } },
};

static char helper[PATH_MAX];

static struct bytes make_image(const char *command, struct bytes content)
{
	char line[256];
	const char *options = strchr(command, ' ');
	snprintf(line, sizeof(line), command[0] == 'm' ? "mksquashfs tree image %s -no-fragments -quiet -no-progress" :
							 "gensquashfs -T -q -D tree image %s", options);
	return image_by(line, content);
}

/* Text, machine code (of this test) and noise. */
static struct bytes make_content(void)
{
	struct bytes code = load("/proc/self/exe"), content = image_new(IMAGE_TEXT, FILE_LEN);
	struct bytes noise = image_new(IMAGE_NOISE, 5000);
	ck_assert_uint_ge(code.len, 2 * BLOCK_LEN);
	memcpy(content.data + BLOCK_LEN, code.data, 2 * BLOCK_LEN);
	memcpy(content.data + 1000, noise.data, noise.len);
	return content;
}

static bool is_made(struct codec_contexts *contexts, const struct codec_params *params, struct bytes plain,
		    struct bytes packed)
{
	struct bytes made = encode_block(contexts, params, plain);
	return made.len == packed.len && memcmp(made.data, packed.data, packed.len) == 0;
}

/* The first metadata block of the inode table, decoded: it has two inodes, and is proved to be made as it should. */
static struct bytes read_inodes(struct codec_contexts *contexts, const struct codec_params *params, struct bytes image)
{
	size_t off = (size_t)load_le64(image.data + INODE_TABLE_OFF);
	unsigned header = load_le16(image.data + off);
	struct bytes packed = { image.data + off + 2, header & (META_STORED - 1) }, plain = { 0 };
	if ((header & META_STORED) != 0)
		return packed;
	for (size_t len = packed.len; plain.len == 0 && len <= META_MAX; len++)
		if (decode_block(contexts, params->codec, packed, len, &plain) != BLOCKZ_OK)
			plain.len = 0;
	ck_assert_uint_gt(plain.len, 0);
	ck_assert(is_made(contexts, params, plain, packed));
	return plain;
}

/* The inode of the file: it is of kind 2 and says how long it is. */
static const uint8_t *find_inode(struct bytes inodes)
{
	for (size_t i = 0; i + INODE_FILE_LEN + 4 * BLOCKS <= inodes.len; i++)
		if (load_le16(inodes.data + i) == INODE_KIND_FILE && load_le32(inodes.data + i + INODE_SIZE_OFF) == FILE_LEN)
			return inodes.data + i;
	ck_abort_msg("no inode of the file");
	return NULL;
}

START_TEST(blocks_are_made_again)
{
	struct lzo_helpers *helpers = lzo_helpers_new(helper);
	struct codec_env env = { lzo_helpers_ops(helpers) };
	struct codec_contexts contexts = { .env = &env };
	struct bytes content = make_content(), image = make_image(cases[_i].command, content);
	struct bytes inodes = read_inodes(&contexts, &cases[_i].metadata, image);
	const uint8_t *inode = find_inode(inodes);
	size_t off = load_le32(inode + INODE_START_OFF), compressed = 0;
	for (size_t i = 0; i < BLOCKS; i++) {
		uint32_t size = load_le32(inode + INODE_FILE_LEN + 4 * i);
		size_t start = i * BLOCK_LEN, len = FILE_LEN - start < BLOCK_LEN ? FILE_LEN - start : BLOCK_LEN;
		struct bytes plain = { content.data + start, len }, packed = { image.data + off, size & (BLOCK_STORED - 1) };
		struct bytes decoded = { 0 };
		bool made = (size & BLOCK_STORED) != 0;
		off += packed.len;
		if (made)
			continue;
		compressed++;
		ck_assert_int_eq(decode_block(&contexts, cases[_i].metadata.codec, packed, len, &decoded), BLOCKZ_OK);
		assert_bytes(decoded, plain);
		for (size_t j = 0; j < ALTERNATIVES && cases[_i].content[j].codec != CODEC_STORED && !made; j++)
			made = is_made(&contexts, &cases[_i].content[j], plain, packed);
		ck_assert_msg(made, "%s: block %zu", cases[_i].command, i);
	}
	ck_assert_uint_ge(compressed, BLOCKS - 1);
	codec_contexts_free(&contexts);
	lzo_helpers_free(helpers);
}
END_TEST

int main(void)
{
	const char *bin = getenv("BLOCKZ_BIN");
	snprintf(helper, sizeof(helper), "%s/blockz-lzo", bin != NULL ? bin : ".build/release");
	bool lzo = access(helper, X_OK) == 0;
	TCase *c = case_new("squashfs_codecs");
	if (!lzo)
		printf("skip squashfs-lzo: %s was not built\n", helper);
	for (int i = 0; i < (int)(sizeof(cases) / sizeof(cases[0])); i++)
		if (lzo || cases[i].metadata.codec != CODEC_LZO)
			tcase_add_loop_test(c, blocks_are_made_again, i, i + 1);
	return case_run("squashfs_codecs", c);
}
