/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Example: make a delta between two images, and apply it.
 *
 * compile: cc -o delta delta.c $(pkg-config --cflags --libs blockz)
 * run:     ./delta make OLD NEW DELTA
 *          ./delta apply OLD DELTA OUT    OUT becomes what NEW was
 */
#include <blockz_delta.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static enum blockz_status make(const struct blockz_source *old_image, const struct blockz_source *new_image,
			       const struct blockz_sink *sink, struct blockz_fault *fault)
{
	const struct blockz_delta_options options = { .portable = false }; /* the client may encode blocks */
	struct blockz_delta_result result;
	enum blockz_status status = blockz_delta(old_image, new_image, sink, &options, &result, fault);
	if (status == BLOCKZ_OK)
		printf("%" PRIu64 " bytes make %" PRIu64 " of %" PRIu64 "\n", result.delta_size, result.new_size,
		       result.old_size);
	return status;
}

/* Whatever the sink got before it failed is not NEW: the caller throws it away. */
static enum blockz_status apply(const struct blockz_source *old_image, const struct blockz_source *delta,
				const struct blockz_sink *sink, struct blockz_fault *fault)
{
	const struct blockz_merge_options options = { .lzo = NULL };
	return blockz_merge(old_image, delta, sink, &options, fault);
}

/* 0 and a source, or an exit status.  The descriptor stays open as long as the program. */
static int open_source(const char *path, struct blockz_source *source_ret)
{
	struct blockz_fault fault;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		snprintf(fault.text, sizeof(fault.text), "%s", strerror(errno));
	else if (blockz_source_fd(fd, source_ret, &fault) == BLOCKZ_OK)
		return 0;
	fprintf(stderr, "delta: %s: %s\n", path, fault.text);
	return BLOCKZ_FAILED;
}

int main(int argc, char **argv)
{
	struct blockz_source old_image, other;
	struct blockz_fault fault;
	struct blockz_fd_sink out;
	bool makes = argc == 5 && strcmp(argv[1], "make") == 0;
	if (argc != 5 || (!makes && strcmp(argv[1], "apply") != 0)) {
		fprintf(stderr, "usage: delta make OLD NEW DELTA, or delta apply OLD DELTA OUT\n");
		return BLOCKZ_USAGE;
	}
	if (open_source(argv[2], &old_image) != 0 || open_source(argv[3], &other) != 0)
		return BLOCKZ_FAILED;
	int fd = open(argv[4], O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	if (fd < 0) {
		fprintf(stderr, "delta: %s: %s\n", argv[4], strerror(errno));
		return BLOCKZ_FAILED;
	}
	struct blockz_sink sink = blockz_sink_fd(&out, fd);
	enum blockz_status status = makes ? make(&old_image, &other, &sink, &fault)
					  : apply(&old_image, &other, &sink, &fault);
	/* An error of an earlier write may show itself only here. */
	if (close(fd) != 0 && status == BLOCKZ_OK) {
		status = BLOCKZ_FAILED;
		snprintf(fault.text, sizeof(fault.text), "%s: %s", argv[4], strerror(errno));
	}
	if (status != BLOCKZ_OK) {
		fprintf(stderr, "delta: %s\n", fault.text);
		unlink(argv[4]);
	}
	return (int)status;
}
