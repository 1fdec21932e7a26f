/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Any block map: it is read or refused with a reason.  Its own checksum is made right then, since no input has the right one:
 * what is read lies in order in the image, and comes back when it is written.
 */
#include <ctype.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bmap/bmap.h"
#include "cli/fault.h"
#include "fuzz.h"

/* A file without a name, with this content; made once. */
static int file_of(const struct bytes *text)
{
	static int fd = -1;
	if (fd < 0)
		fd = memfd_create("bmap", MFD_CLOEXEC);
	assert(fd >= 0 && ftruncate(fd, 0) == 0 && lseek(fd, 0, SEEK_SET) == 0);
	assert(text == NULL || pwrite(fd, text->data, text->len, 0) == (ssize_t)text->len);
	return fd;
}

/* A reason, fit to be printed although it holds what is found in the map. */
static void check_reason(const struct blockz_fault *fault)
{
	char *line = fault_line(fault);
	assert(line != NULL && line[0] != '\0');
	for (const char *at = line; *at != '\0'; at++)
		assert((unsigned char)*at >= ' ' && *at != 0x7f);
	free(line);
}

static enum blockz_status read_fd(int fd, struct bmap *bmap)
{
	char path[32];
	struct blockz_fault fault = { 0 };
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	enum blockz_status status = bmap_read(bmap, path, &fault);
	if (status == BLOCKZ_OK)
		return status;
	assert(fault.status == status && status != BLOCKZ_FAILED && bmap->items == NULL);
	check_reason(&fault);
	return status;
}

/* false: there is no place for a checksum. */
static bool reseal(struct bytes *text)
{
	static const char element[] = "<BmapFileChecksum>";
	uint8_t *place = memmem(text->data, text->len, element, sizeof(element) - 1);
	const uint8_t *end = text->data + text->len;
	char sha256[DIGEST_HEX];
	struct digest digest;
	if (place == NULL)
		return false;
	for (place += sizeof(element) - 1; place < end && isspace(*place);)
		place++;
	if (end - place < DIGEST_HEX - 1)
		return false;
	memset(place, '0', DIGEST_HEX - 1);
	assert(digest_start(&digest, NULL) == BLOCKZ_OK);
	digest_update(&digest, text->data, text->len);
	assert(digest_finish(&digest, sha256, NULL) == BLOCKZ_OK);
	digest_free(&digest);
	memcpy(place, sha256, DIGEST_HEX - 1);
	return true;
}

static void check_map(const struct bmap *bmap)
{
	uint64_t block = bmap->block_size, end = 0;
	assert(bmap->image_size <= INT64_MAX && block >= 512 && (block & (block - 1)) == 0);
	for (size_t i = 0; i < bmap->count; i++) {
		const struct bmap_range *range = &bmap->items[i];
		assert(range->first >= end && range->end > range->first);
		assert(range->sha256[0] == '\0' || strlen(range->sha256) == DIGEST_HEX - 1);
		end = range->end;
		struct blockz_range bytes = bmap_bytes(bmap, range->first, range->end);
		assert(bytes.start < bytes.end && bytes.end <= bmap->image_size);
	}
}

static void check_written(const struct bmap *bmap)
{
	struct bmap again;
	int fd = file_of(NULL);
	assert(bmap_write(bmap, fd, NULL) == BLOCKZ_OK);
	assert(read_fd(fd, &again) == BLOCKZ_OK);
	assert(again.image_size == bmap->image_size && again.block_size == bmap->block_size && again.count == bmap->count);
	for (size_t i = 0; i < bmap->count; i++) {
		const struct bmap_range *one = &bmap->items[i], *two = &again.items[i];
		assert(one->first == two->first && one->end == two->end && strcmp(one->sha256, two->sha256) == 0);
	}
	bmap_free(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes text = { 0 };
	struct bmap bmap;
	if (size == 0)
		return 0;
	bytes_append(&text, data, size);
	if (read_fd(file_of(&text), &bmap) == BLOCKZ_OK)
		check_map(&bmap);
	bmap_free(&bmap);
	if (reseal(&text) && read_fd(file_of(&text), &bmap) == BLOCKZ_OK) {
		check_map(&bmap);
		check_written(&bmap);
		bmap_free(&bmap);
	}
	free(text.data);
	return 0;
}
