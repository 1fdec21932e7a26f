/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * spread FORMAT OUT SIZE DATA: packs an image of SIZE bytes to OUT, at level 1, with DATA bytes of something in it, spread over
 * all of it in 64 extents, and 16 MiB from a quarter of it on raw.
 *
 * The image is made as it is read, so that it takes no room.  A third of each page of it is noise, which does not compress.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "blockz.h"

enum { EXTENTS = 64, PAGE = 4096, NOISE = PAGE / 3 / 8, RAW_LEN = 16 << 20 };

struct image {
	uint64_t size, stride, extent;
};

/* An extent is at the beginning of each stride. */
static int next_data(void *ctx, uint64_t off, uint64_t *start_ret, uint64_t *end_ret)
{
	const struct image *image = ctx;
	uint64_t start = off / image->stride * image->stride, end = start + image->extent;
	if (off >= end) {
		start += image->stride;
		end += image->stride;
	}
	*start_ret = start >= image->size ? image->size : off > start ? off : start;
	*end_ret = end > image->size ? image->size : end;
	return 0;
}

static void make_page(uint64_t number, uint64_t page[PAGE / 8])
{
	uint64_t state = (number + 1) * UINT64_C(0x9e3779b97f4a7c15);
	for (size_t i = 0; i < NOISE; i++) {
		state ^= state << 13;
		state ^= state >> 7;
		state ^= state << 17;
		page[i] = state;
	}
	memset(page + NOISE, 'x', PAGE - NOISE * sizeof(*page));
}

static int read_image(void *ctx, void *buf, size_t len, uint64_t off, size_t *got_ret)
{
	const struct image *image = ctx;
	uint64_t page[PAGE / 8];
	size_t done = 0;
	if (len > image->size - off)
		len = (size_t)(image->size - off);
	while (done < len) {
		uint64_t pos = off + done;
		size_t in_page = (size_t)(pos % PAGE), part = PAGE - in_page < len - done ? PAGE - in_page : len - done;
		if (pos % image->stride < image->extent)
			make_page(pos / PAGE, page);
		else
			memset(page, 0, sizeof(page));
		memcpy((uint8_t *)buf + done, (const uint8_t *)page + in_page, part);
		done += part;
	}
	*got_ret = len;
	return 0;
}

int main(int argc, char **argv)
{
	if (argc != 5)
		return 2;
	const uint64_t size = strtoull(argv[3], NULL, 0), data = strtoull(argv[4], NULL, 0);
	struct image image = { size, size / EXTENTS, data / EXTENTS };
	const struct blockz_source_ops ops = { .read = read_image, .next_data = next_data };
	const struct blockz_source source = { &ops, &image, size };
	const struct blockz_range raw = { size / 4, size / 4 + RAW_LEN };
	const struct blockz_pack_options options = { .format = argv[1], .level = 1, .raw = &raw, .raw_count = 1 };
	struct blockz_pack_result result;
	struct blockz_fault fault;
	struct blockz_fd_sink out;
	int fd = open(argv[2], O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (fd < 0 || image.stride % PAGE != 0 || image.extent % PAGE != 0 || image.extent < RAW_LEN) {
		fprintf(stderr, "spread: %s cannot be written, or sizes that do not fit each other\n", argv[2]);
		return 2;
	}
	const struct blockz_sink sink = blockz_sink_fd(&out, fd);
	if (blockz_pack(&source, &sink, &options, &result, &fault) != BLOCKZ_OK || fsync(fd) != 0) {
		fprintf(stderr, "spread: %s: %s\n", argv[2], fault.text);
		return 1;
	}
	return 0;
}
