/* SPDX-License-Identifier: BSD-3-Clause */
/* Images are locked as compressed files are; everything else is just opened. */
#include "files/input.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/fault.h"
#include "cli/stream.h"

enum blockz_status input_open(struct input *input, const char *path, struct blockz_fault *fault)
{
	bool is_stdin = is_stream(path);
	*input = (struct input){ 0 };
	/* Of standard input a duplicate, so that all are closed alike. */
	int fd = is_stdin ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0) : open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return tool_fault_errno(fault, errno, "open");
	input->fd = fd;
	input->is_open = true;
	enum blockz_status status = BLOCKZ_OK;
	if (is_stdin && lseek(fd, 0, SEEK_CUR) > 0)
		status = tool_fault(fault, BLOCKZ_USAGE, "a file as standard input must stand at its beginning");
	if (status == BLOCKZ_OK)
		status = blockz_source_fd(fd, &input->source, fault);
	if (status != BLOCKZ_OK)
		input_close(input);
	return status;
}

enum blockz_status input_open_image(struct input *input, const char *path, bool replaced, struct blockz_fault *fault)
{
	struct stat st;
	*input = (struct input){ 0 };
	if (stat(path, &st) < 0)
		return tool_fault_errno(fault, errno, "open");
	if (S_ISBLK(st.st_mode) || (S_ISREG(st.st_mode) && !replaced)) {
		enum blockz_status status = compressed_open(&input->file, path, BLOCKZ_STORE_READ, fault);
		input->source = input->file.source;
		return status;
	}
	if (!S_ISREG(st.st_mode))
		return tool_fault(fault, BLOCKZ_UNSUPPORTED, "is no regular file or block device; an image is read at many offsets");
	return input_open(input, path, fault);
}

void input_add_to(const struct input *input, struct audience *audience)
{
	if (input->is_open)
		audience_add(audience, input->fd);
	else
		audience_add_compressed(audience, &input->file);
}

void input_close(struct input *input)
{
	compressed_close(&input->file);
	if (input->is_open)
		close(input->fd);
	*input = (struct input){ 0 };
}

static bool is_same(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

bool input_is_at(const struct input *input, const char *path)
{
	struct stat a, b;
	return input->is_open && fstat(input->fd, &a) == 0 && stat(path, &b) == 0 && is_same(&a, &b);
}

bool input_is_same(const char *path, const char *other)
{
	struct stat a, b;
	return stat(path, &a) == 0 && stat(other, &b) == 0 && is_same(&a, &b);
}
