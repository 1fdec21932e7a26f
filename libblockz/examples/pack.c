/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Example: compress an image that is in memory, a part of it raw, so that this part can be overwritten later.
 *
 * compile: cc -o pack pack.c $(pkg-config --cflags --libs blockz)
 * run:     ./pack FILE.gz                 or .xz, or .zst; the first 4096 bytes of the image are raw
 */
#include <blockz.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { IMAGE_LEN = 3 << 20, RAW_LEN = 4096 };

/* A label, some text, and zeros behind it. */
static void fill_image(char *image)
{
	memset(image, 0, IMAGE_LEN);
	strcpy(image, "label=none\n");
	for (size_t off = RAW_LEN, line = 0; off < IMAGE_LEN / 2; line++)
		off += (size_t)snprintf(image + off, IMAGE_LEN - off, "line %zu of the image\n", line);
}

static const struct blockz_format *format_of(const char *path)
{
	const char *suffix = strrchr(path, '.');
	const struct blockz_format *format = NULL;
	for (size_t i = 0; suffix != NULL && (format = blockz_format_at(i)) != NULL; i++)
		if (strcmp(format->suffix, suffix) == 0)
			return format;
	return NULL;
}

static enum blockz_status pack(const char *image, const struct blockz_format *format, int fd,
			       struct blockz_pack_result *result_ret, struct blockz_fault *fault)
{
	const struct blockz_memory memory = { image, IMAGE_LEN };
	const struct blockz_source source = blockz_source_memory(&memory);
	const struct blockz_range raw = { 0, RAW_LEN };
	const struct blockz_pack_options options = { .format = format->name, .raw = &raw, .raw_count = 1 };
	struct blockz_fd_sink out;
	struct blockz_sink sink = blockz_sink_fd(&out, fd);
	return blockz_pack(&source, &sink, &options, result_ret, fault);
}

int main(int argc, char **argv)
{
	const struct blockz_format *format = argc == 2 ? format_of(argv[1]) : NULL;
	struct blockz_pack_result result;
	struct blockz_fault fault = { .text = "no memory" };
	if (format == NULL) {
		fprintf(stderr, "usage: pack FILE.gz|FILE.xz|FILE.zst\n");
		return BLOCKZ_USAGE;
	}
	int fd = open(argv[1], O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	if (fd < 0) {
		fprintf(stderr, "pack: %s: %s\n", argv[1], strerror(errno));
		return BLOCKZ_FAILED;
	}
	enum blockz_status status = BLOCKZ_FAILED;
	char *image = malloc(IMAGE_LEN);
	if (image != NULL) {
		fill_image(image);
		status = pack(image, format, fd, &result, &fault);
	}
	free(image);
	/* An error of an earlier write may show itself only here. */
	if (close(fd) != 0 && status == BLOCKZ_OK) {
		status = BLOCKZ_FAILED;
		snprintf(fault.text, sizeof(fault.text), "%s", strerror(errno));
	}
	if (status != BLOCKZ_OK) {
		fprintf(stderr, "pack: %s: %s\n", argv[1], fault.text);
		unlink(argv[1]);
		return (int)status;
	}
	printf("%" PRIu64 " bytes of image in %" PRIu64 " of file, %" PRIu64 " raw\n", result.image_size, result.file_size,
	       result.raw_bytes);
	return BLOCKZ_OK;
}
