/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Example: change any bytes of an image, compressed ones too, in a copy of its compressed file.
 *
 * compile: cc -o splice splice.c $(pkg-config --cflags --libs blockz)
 * run:     ./splice FILE OFFSET TEXT >NEW
 */
#include <blockz.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Where what is encoded again lies until it is written: a temporary file, ctx. */
static int scratch_read(void *ctx, void *buf, size_t len, uint64_t off, size_t *got_ret)
{
	FILE *file = ctx;
	if (fseeko(file, (off_t)off, SEEK_SET) < 0)
		return errno;
	*got_ret = fread(buf, 1, len, file);
	return ferror(file) ? EIO : 0;
}

static int scratch_write(void *ctx, const void *buf, size_t len, uint64_t off)
{
	FILE *file = ctx;
	if (fseeko(file, (off_t)off, SEEK_SET) < 0)
		return errno;
	return fwrite(buf, 1, len, file) == len ? 0 : errno;
}

static enum blockz_status edit_copy(const struct blockz_source *file, uint64_t off, const char *text, FILE *temporary,
				    struct blockz_fault *fault)
{
	static const struct blockz_store_ops ops = { .read = scratch_read, .write = scratch_write };
	const struct blockz_store scratch = { .ops = &ops, .ctx = temporary };
	const struct blockz_memory memory = { text, strlen(text) };
	const struct blockz_edit edit = {
		.range = { off, off + memory.len }, .data = blockz_source_memory(&memory), /* data_off: 0 */
	};
	const struct blockz_anywhere how = { .way = BLOCKZ_WAY_SPLICE, .scratch = &scratch };
	struct blockz_fd_sink output;
	const struct blockz_sink sink = blockz_sink_fd(&output, STDOUT_FILENO);
	struct blockz_map *map = NULL;
	struct blockz_plan *plan = NULL;
	enum blockz_status status = blockz_map_read(file, NULL, &map, fault);
	if (status == BLOCKZ_OK)
		status = blockz_plan_anywhere(file, map, &edit, 1, &how, &plan, fault);
	if (status == BLOCKZ_OK)
		fprintf(stderr, "%" PRIu64 " bytes, %" PRIu64 " pieces encoded again\n", blockz_plan_info(plan).file_size,
			blockz_plan_info(plan).renewed.pieces);
	if (status == BLOCKZ_OK)
		status = blockz_plan_copy(plan, file, &sink, fault);
	blockz_plan_free(plan);
	blockz_map_free(map);
	return status;
}

int main(int argc, char **argv)
{
	struct blockz_fault fault = { .text = "cannot be opened" };
	struct blockz_source file;
	char *end = NULL;
	uint64_t off = argc == 4 ? strtoull(argv[2], &end, 10) : 0;
	if (argc != 4 || end == argv[2] || *end != '\0' || off > INT64_MAX) {
		fprintf(stderr, "usage: splice FILE OFFSET TEXT >NEW\n");
		return BLOCKZ_USAGE;
	}
	FILE *temporary = tmpfile();
	int fd = open(argv[1], O_RDONLY | O_CLOEXEC);
	enum blockz_status status = temporary != NULL && fd >= 0 ? blockz_source_fd(fd, &file, &fault) : BLOCKZ_FAILED;
	if (status == BLOCKZ_OK)
		status = edit_copy(&file, off, argv[3], temporary, &fault);
	if (status != BLOCKZ_OK)
		fprintf(stderr, "splice: %s: %s\n", argv[1], fault.text);
	if (fd >= 0)
		close(fd);
	if (temporary != NULL)
		fclose(temporary);
	return (int)status;
}
