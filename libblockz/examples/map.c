/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Example: which range of an image lies where in its compressed file, and what of it can be overwritten in place.
 *
 * compile: cc -o map map.c $(pkg-config --cflags --libs blockz)
 * run:     ./map FILE                     a .gz, .xz or .zst; blockz-map(1) prints the same for people
 */
#include <blockz.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Prints why a call failed, and returns the exit status that the tools have for it. */
static int fail(const char *path, const struct blockz_fault *fault)
{
	fprintf(stderr, "map: %s: ", path);
	if (fault->offset != BLOCKZ_UNKNOWN)
		fprintf(stderr, "offset %" PRIu64 ": ", fault->offset);
	fprintf(stderr, "%s\n", fault->text);
	return (int)fault->status;
}

/* Ranges have no gaps between them, so each begins where the last one ended. */
static void print_map(const struct blockz_map *map)
{
	static const char *const kinds[] = { "compressed", "raw", "zero" }; /* by enum blockz_kind */
	struct blockz_map_info info = blockz_map_info(map);
	struct blockz_map_range range;
	printf("%s: %" PRIu64 " bytes of image in %" PRIu64 " of file\n", info.format, info.image_size, info.file_size);
	for (uint64_t off = 0; blockz_map_range_at(map, off, &range); off = range.end)
		printf("%-10s image %" PRIu64 "-%" PRIu64 " file %" PRIu64 "-%" PRIu64 "%s\n", kinds[range.kind],
		       range.start, range.end, range.file_off, range.file_end, range.patchable ? " patchable" : "");
}

int main(int argc, char **argv)
{
	struct blockz_source file;
	struct blockz_map *map = NULL;
	struct blockz_fault fault;
	if (argc != 2) {
		fprintf(stderr, "usage: map FILE\n");
		return BLOCKZ_USAGE;
	}
	int fd = open(argv[1], O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		fprintf(stderr, "map: %s: %s\n", argv[1], strerror(errno));
		return BLOCKZ_FAILED;
	}
	enum blockz_status status = blockz_source_fd(fd, &file, &fault);
	if (status == BLOCKZ_OK)
		status = blockz_map_read(&file, NULL, &map, &fault);
	if (status != BLOCKZ_OK) {
		close(fd);
		return fail(argv[1], &fault);
	}
	print_map(map);
	blockz_map_free(map);
	close(fd);
	if (fflush(stdout) == 0)
		return BLOCKZ_OK;
	fprintf(stderr, "map: stdout: %s\n", strerror(errno));
	return BLOCKZ_FAILED;
}
