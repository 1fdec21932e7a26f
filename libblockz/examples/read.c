/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Example: read a range of an image out of its compressed file, decoding no more than that needs.
 *
 * compile: cc -o read read.c $(pkg-config --cflags --libs blockz)
 * run:     ./read FILE OFFSET LENGTH >OUT
 *
 * blockz_extract() decodes a long range on all cores.  Who reads here and there has a reader: blockz_reader_new().
 */
#include <blockz.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Writes the range to stdout. */
static enum blockz_status read_range(int fd, struct blockz_range range, struct blockz_fault *fault)
{
	const struct blockz_work work = { .threads = 0 }; /* as many as there are CPUs, and no progress */
	struct blockz_fd_sink out;
	struct blockz_sink sink = blockz_sink_fd(&out, STDOUT_FILENO);
	struct blockz_source file;
	struct blockz_map *map = NULL;
	enum blockz_status status = blockz_source_fd(fd, &file, fault);
	if (status == BLOCKZ_OK)
		status = blockz_map_read(&file, NULL, &map, fault);
	if (status == BLOCKZ_OK)
		status = blockz_extract(&file, map, range, &sink, &work, fault);
	blockz_map_free(map);
	return status;
}

static bool parse_number(const char *text, uint64_t *value_ret)
{
	char *end = NULL;
	errno = 0;
	*value_ret = strtoull(text, &end, 10);
	return errno == 0 && end != text && *end == '\0' && *text != '-';
}

int main(int argc, char **argv)
{
	struct blockz_fault fault;
	uint64_t off, len;
	if (argc != 4 || !parse_number(argv[2], &off) || !parse_number(argv[3], &len) || len > UINT64_MAX - off) {
		fprintf(stderr, "usage: read FILE OFFSET LENGTH\n");
		return BLOCKZ_USAGE;
	}
	int fd = open(argv[1], O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		fprintf(stderr, "read: %s: %s\n", argv[1], strerror(errno));
		return BLOCKZ_FAILED;
	}
	enum blockz_status status = read_range(fd, (struct blockz_range){ off, off + len }, &fault);
	close(fd);
	if (status != BLOCKZ_OK)
		fprintf(stderr, "read: %s: %s\n", argv[1], fault.text);
	return (int)status;
}
