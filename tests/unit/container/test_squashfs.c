/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * SquashFS taken apart: images by mksquashfs, sqfstar and gensquashfs, whose files are all found in the blocks that are
 * listed, and of which nothing is left but headers and indexes.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "container/squashfs_layout.h"
#include "files.h"
#include "lzo.h"
#include "taken_apart.h"

enum { IMAGES_MAX = 64, PATH_LEN = 512, FILES_MAX = 2000 };

static char dir[PATH_LEN / 2];

static struct {
	char name[32], container[64];
} images[IMAGES_MAX];
static int image_count;

static struct bytes load_image(const char *name)
{
	char path[PATH_LEN];
	snprintf(path, sizeof(path), "%s/%s.sqfs", dir, name);
	return load(path);
}

/* ---- The files that are in them ---- */

static size_t load_files(const char *sub, struct bytes *files, size_t count)
{
	char path[PATH_LEN], name[2 * PATH_LEN];
	snprintf(path, sizeof(path), "%s/%s", dir, sub);
	DIR *listing = opendir(path);
	ck_assert_ptr_nonnull(listing);
	for (struct dirent *entry; (entry = readdir(listing)) != NULL;) {
		if (entry->d_type != DT_REG)
			continue;
		ck_assert_uint_lt(count, FILES_MAX);
		snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
		files[count++] = load(name);
	}
	closedir(listing);
	return count;
}

static bool equals(const struct taken_apart *image, size_t block, const uint8_t *data, size_t len)
{
	return block < image->blocks.count && !image->blocks.items[block].is_metadata && image->plain[block].len == len &&
	       memcmp(image->plain[block].data, data, len) == 0;
}

/* The whole blocks of a file stand one behind the other, from `first` on, without those of zeros.  *next_ret: behind them. */
static bool is_run(const struct taken_apart *image, size_t first, struct bytes file, size_t block_size, size_t *next_ret)
{
	size_t next = first;
	for (size_t pos = 0; pos < file.len / block_size * block_size; pos += block_size) {
		if (equals(image, next, file.data + pos, block_size))
			next++;
		else if (!bytes_are_zero(file.data + pos, block_size))
			return false;
	}
	*next_ret = next;
	return true;
}

/* The end of a file is a block of its own behind the others, or part of any. */
static bool find_tail(const struct taken_apart *image, const uint8_t *tail, size_t len, bool *used)
{
	bool found = len == 0 || bytes_are_zero(tail, len);
	for (size_t i = 0; i < image->blocks.count && len > 0; i++) {
		if (image->blocks.items[i].is_metadata || memmem(image->plain[i].data, image->plain[i].len, tail, len) == NULL)
			continue;
		used[i] = found = true;
	}
	return found;
}

/* All places where a file's content can be. */
static void find_file(const struct taken_apart *image, struct bytes file, size_t block_size, bool *used)
{
	size_t whole = file.len / block_size * block_size, next;
	bool found = false;
	for (size_t i = 0; i < image->blocks.count; i++) {
		if (!is_run(image, i, file, block_size, &next))
			continue;
		memset(used + i, true, next - i);
		found = true;
	}
	ck_assert_msg(found, "a file of %zu bytes is not there", file.len);
	ck_assert_msg(find_tail(image, file.data + whole, file.len - whole, used),
		      "the end of a file of %zu bytes is not there", file.len);
}

static size_t metadata_blocks(uint64_t bytes)
{
	return (size_t)((bytes + META_LEN_MAX - 1) / META_LEN_MAX);
}

/* What must be left between the blocks. */
static size_t expected_rest(const struct taken_apart *image)
{
	const uint8_t *super = image->file.data;
	size_t rest = SUPER_LEN, entries = metadata_blocks(4 * (uint64_t)load_le16(super + SUPER_IDS)) +
					   metadata_blocks(16 * (uint64_t)load_le32(super + SUPER_FRAGMENTS));
	uint64_t xattrs = load_le64(super + SUPER_XATTR_ID_TABLE);
	if (load_le64(super + SUPER_LOOKUP_TABLE) != SQUASHFS_INVALID)
		entries += metadata_blocks(8 * (uint64_t)load_le32(super + SUPER_INODES));
	if (xattrs != SQUASHFS_INVALID) {
		entries += metadata_blocks(16 * (uint64_t)load_le32(super + xattrs + XATTR_IDS));
		rest += XATTR_ID_HEAD_LEN;
	}
	if ((load_le16(super + SUPER_FLAGS) & SQUASHFS_OPTIONS) != 0)
		rest += 2 + (load_le16(super + SUPER_LEN) & 0x7fffu);
	for (size_t i = 0; i < image->blocks.count; i++)
		rest += image->blocks.items[i].is_metadata ? META_HEADER_LEN : 0;
	return rest + INDEX_ENTRY_LEN * entries;
}

static void assert_covered(const struct taken_apart *image)
{
	uint64_t rest = image->blocks.size;
	for (size_t i = 0; i < image->blocks.count; i++)
		rest -= image->blocks.items[i].file_len;
	ck_assert_uint_eq(rest, expected_rest(image));
}

START_TEST(all_files_are_in_the_blocks)
{
	struct taken_apart image = take_apart(load_image(images[_i].name), lzo_of_liblzo2());
	size_t block_size = load_le32(image.file.data + SUPER_BLOCK_SIZE), count;
	struct bytes *files = keep(FILES_MAX * sizeof(*files));
	bool *used = keep(image.blocks.count);
	ck_assert_str_eq(image.blocks.container, images[_i].container);
	ck_assert_str_eq(image.blocks.note, "");
	ck_assert_uint_eq(image.blocks.size, load_le64(image.file.data + SUPER_BYTES_USED));
	ck_assert_uint_gt(image.blocks.candidate_count, 0);
	assert_covered(&image);
	count = load_files("tree/many", files, load_files("tree", files, 0));
	ck_assert_uint_gt(count, 1000);
	for (size_t i = 0; i < count; i++)
		find_file(&image, files[i], block_size, used);
	for (size_t i = 0; i < image.blocks.count; i++)
		ck_assert_msg(used[i] || image.blocks.items[i].is_metadata, "%s: block %zu is of no file", images[_i].name, i);
	taken_apart_free(&image);
}
END_TEST

START_TEST(an_empty_file_system)
{
	static const char *const names[] = { "empty", "gen-empty" };
	struct taken_apart image = take_apart(load_image(names[_i]), NULL);
	ck_assert_str_eq(image.blocks.note, "");
	ck_assert_uint_gt(image.blocks.count, 0);
	assert_covered(&image);
	for (size_t i = 0; i < image.blocks.count; i++)
		ck_assert(image.blocks.items[i].is_metadata);
	taken_apart_free(&image);
}
END_TEST

START_TEST(what_is_behind_does_not_count)
{
	struct bytes image = load_image("gzip"), behind = bytes_new(MIB);
	memset(behind.data, 0xa5, behind.len);
	struct taken_apart alone = take_apart(image, NULL), padded = take_apart(bytes_join(image, behind), NULL);
	ck_assert_uint_gt(alone.blocks.count, 0);
	ck_assert_uint_eq(alone.blocks.size, padded.blocks.size);
	ck_assert_uint_eq(alone.blocks.count, padded.blocks.count);
	for (size_t i = 0; i < alone.blocks.count; i++)
		ck_assert_uint_eq(alone.blocks.items[i].file_off, padded.blocks.items[i].file_off);
	taken_apart_free(&alone);
	taken_apart_free(&padded);
}
END_TEST

START_TEST(lzo_needs_lzo)
{
	assert_plain(load_image("lzo"), "LZO");
}
END_TEST

/* ---- A small one, damaged ---- */

/* Anything may come of it but a crash, an error of the system, or a list that does not hold. */
static void read_damaged(struct bytes file)
{
	const struct codec_env env = { NULL };
	struct blockz_source source = bytes_source(file);
	struct blocks blocks;
	ck_assert_int_eq(container_read(&source, &env, &blocks, NULL), BLOCKZ_OK);
	assert_list(&blocks, file.len);
	ck_assert(blocks.count == 0 || strncmp(blocks.container, "squashfs ", 9) == 0);
	ck_assert((strcmp(blocks.container, "plain") == 0) == (blocks.count == 0));
	blocks_free(&blocks);
}

START_TEST(any_byte_may_be_wrong)
{
	struct bytes image = load_image("small");
	size_t tables = (size_t)load_le64(image.data + SUPER_INODE_TABLE);
	size_t end = (size_t)load_le64(image.data + SUPER_BYTES_USED);
	ck_assert_uint_lt(end - tables, 2000);
	for (size_t i = 0; i < end; i = i + 1 == SUPER_LEN + 2 ? tables : i + 1) {
		uint8_t right = image.data[i];
		for (unsigned bit = 0; bit < 8; bit++) {
			image.data[i] = right ^ (uint8_t)(1u << bit);
			read_damaged(image);
		}
		image.data[i] = right == 0xff ? 0 : 0xff;
		read_damaged(image);
		image.data[i] = right;
	}
}
END_TEST

START_TEST(it_may_end_anywhere)
{
	struct bytes image = load_image("small");
	size_t end = (size_t)load_le64(image.data + SUPER_BYTES_USED);
	for (size_t len = 0; len < end; len++) {
		struct bytes part = { image.data, len };
		assert_plain(part, len < SQUASHFS_MAGIC_LEN ? NULL : "squashfs: ");
	}
}
END_TEST

/* ---- Making the images ---- */

static bool make_images(void)
{
	char command[2 * PATH_LEN], line[128];
	const char *parent = getenv("BLOCKZ_TEST_TMP");
	snprintf(dir, sizeof(dir), "%s/squashfs.XXXXXX", parent != NULL ? parent : "/tmp");
	if (mkdtemp(dir) == NULL)
		return false;
	snprintf(command, sizeof(command), "tests/unit/squashfs-images '%s'", dir);
	if (system(command) != 0)
		return false;
	snprintf(command, sizeof(command), "%s/images", dir);
	FILE *list = fopen(command, "r");
	while (list != NULL && image_count < IMAGES_MAX && fgets(line, sizeof(line), list) != NULL)
		image_count += sscanf(line, "%31s %63[^\n]", images[image_count].name, images[image_count].container) == 2;
	if (list != NULL)
		fclose(list);
	return image_count > 0;
}

static void remove_images(void)
{
	char command[2 * PATH_LEN];
	snprintf(command, sizeof(command), "rm -rf '%s'", dir);
	if (system(command) != 0)
		fprintf(stderr, "%s was left behind\n", dir);
}

int main(void)
{
	TCase *c = case_new("squashfs");
	if (!make_images()) {
		fprintf(stderr, "the images could not be made\n");
		remove_images();
		return 1;
	}
	tcase_add_loop_test(c, all_files_are_in_the_blocks, 0, image_count);
	tcase_add_loop_test(c, an_empty_file_system, 0, 2);
	tcase_add_test(c, what_is_behind_does_not_count);
	tcase_add_test(c, lzo_needs_lzo);
	tcase_add_test(c, any_byte_may_be_wrong);
	tcase_add_test(c, it_may_end_anywhere);
	int status = case_run("squashfs", c);
	remove_images();
	return status;
}
