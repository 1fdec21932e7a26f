/* SPDX-License-Identifier: BSD-3-Clause */
/* Ranges are appended in order, which is asserted here alone; they are written as bmaptool writes version 2.0. */
#include "bmap/bmap.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/fault.h"

uint64_t bmap_blocks(const struct bmap *bmap)
{
	return bmap->image_size / bmap->block_size + (bmap->image_size % bmap->block_size != 0);
}

struct blockz_range bmap_bytes(const struct bmap *bmap, uint64_t first, uint64_t end)
{
	bool last = end == bmap_blocks(bmap);
	return (struct blockz_range){ first * bmap->block_size, last ? bmap->image_size : end * bmap->block_size };
}

enum blockz_status bmap_append(struct bmap *bmap, const struct bmap_range *range, struct blockz_fault *fault)
{
	assert(range->first < range->end && range->end <= bmap_blocks(bmap));
	assert(bmap->count == 0 || bmap->items[bmap->count - 1].end <= range->first);
	if (bmap->count == BMAP_RANGES_MAX)
		return tool_fault(fault, BLOCKZ_LIMIT, "more than %d mapped ranges", BMAP_RANGES_MAX);
	if (bmap->count == bmap->room) {
		size_t room = bmap->room == 0 ? 64 : 2 * bmap->room;
		struct bmap_range *items = reallocarray(bmap->items, room, sizeof(*items));
		if (items == NULL)
			return tool_fault_errno(fault, ENOMEM, "%zu mapped ranges", room);
		bmap->items = items;
		bmap->room = room;
	}
	bmap->items[bmap->count++] = *range;
	return BLOCKZ_OK;
}

void bmap_free(struct bmap *bmap)
{
	free(bmap->items);
	*bmap = (struct bmap){ 0 };
}

/* ---- Writing */

/* Takes the text once for its checksum, then once for the file. */
struct writer {
	struct digest *digest;
	FILE *out;
};

static void put(const struct writer *writer, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void put(const struct writer *writer, const char *format, ...)
{
	char text[512];
	va_list args;
	va_start(args, format);
	int len = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	assert(len > 0 && (size_t)len < sizeof(text));
	if (writer->out != NULL)
		fwrite(text, 1, (size_t)len, writer->out);
	else
		digest_update(writer->digest, text, (size_t)len);
}

static void put_range(const struct writer *writer, const struct bmap_range *range)
{
	put(writer, "        <Range");
	if (range->sha256[0] != '\0')
		put(writer, " chksum=\"%s\"", range->sha256);
	put(writer, "> %" PRIu64, range->first);
	if (range->end - range->first > 1)
		put(writer, "-%" PRIu64, range->end - 1);
	put(writer, " </Range>\n");
}

static void put_all(const struct writer *writer, const struct bmap *bmap, const char *checksum)
{
	uint64_t mapped = 0;
	for (size_t i = 0; i < bmap->count; i++)
		mapped += bmap->items[i].end - bmap->items[i].first;
	put(writer, "<?xml version=\"1.0\" ?>\n");
	put(writer, "<!-- The blocks of a disk image that have to be written to a medium; see bmaptool(1). -->\n\n");
	put(writer, "<bmap version=\"2.0\">\n");
	put(writer, "    <!-- Bytes -->\n");
	put(writer, "    <ImageSize> %" PRIu64 " </ImageSize>\n", bmap->image_size);
	put(writer, "    <BlockSize> %" PRIu64 " </BlockSize>\n\n", bmap->block_size);
	put(writer, "    <!-- Blocks -->\n");
	put(writer, "    <BlocksCount> %" PRIu64 " </BlocksCount>\n", bmap_blocks(bmap));
	put(writer, "    <MappedBlocksCount> %" PRIu64 " </MappedBlocksCount>\n\n", mapped);
	put(writer, "    <ChecksumType> sha256 </ChecksumType>\n");
	put(writer, "    <!-- Of this file with zeros in its place -->\n");
	put(writer, "    <BmapFileChecksum> %s </BmapFileChecksum>\n\n", checksum);
	put(writer, "    <BlockMap>\n");
	for (size_t i = 0; i < bmap->count; i++)
		put_range(writer, &bmap->items[i]);
	put(writer, "    </BlockMap>\n");
	put(writer, "</bmap>\n");
}

static enum blockz_status take_checksum(const struct bmap *bmap, char sha256_ret[DIGEST_HEX],
					struct blockz_fault *fault)
{
	char zeros[DIGEST_HEX] = { 0 };
	struct digest digest;
	struct writer writer = { .digest = &digest };
	enum blockz_status status = digest_start(&digest, fault);
	if (status != BLOCKZ_OK)
		return status;
	memset(zeros, '0', sizeof(zeros) - 1);
	put_all(&writer, bmap, zeros);
	status = digest_finish(&digest, sha256_ret, fault);
	digest_free(&digest);
	return status;
}

enum blockz_status bmap_write(const struct bmap *bmap, int fd, struct blockz_fault *fault)
{
	char checksum[DIGEST_HEX];
	enum blockz_status status = take_checksum(bmap, checksum, fault);
	if (status != BLOCKZ_OK)
		return status;
	int copy = dup(fd);
	struct writer writer = { .out = copy >= 0 ? fdopen(copy, "w") : NULL };
	int error = errno;
	if (writer.out == NULL) {
		if (copy >= 0)
			close(copy);
		return tool_fault_errno(fault, error, "write");
	}
	put_all(&writer, bmap, checksum);
	error = ferror(writer.out) ? EIO : 0;
	if (fclose(writer.out) != 0)
		error = errno;
	return error != 0 ? tool_fault_errno(fault, error, "write") : BLOCKZ_OK;
}
