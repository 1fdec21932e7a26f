/* SPDX-License-Identifier: BSD-3-Clause */
/* A stream is copied to an unnamed file first, since edits are read twice. */
#include "patch/edits.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/fault.h"
#include "cli/size.h"
#include "cli/stream.h"
#include "files/copying.h"
#include "files/scratch.h"
#include "patch/diff.h"

static enum blockz_status add_edit(struct edits *edits, const struct blockz_edit *edit, struct blockz_fault *fault)
{
	struct blockz_edit *items = reallocarray(edits->items, edits->count + 1, sizeof(*items));
	if (items == NULL)
		return tool_fault(fault, BLOCKZ_FAILED, "no memory for %zu edit%s", edits->count + 1, plural(edits->count + 1));
	items[edits->count] = *edit;
	edits->items = items;
	edits->count++;
	return BLOCKZ_OK;
}

/* Takes fd over, on failure too. */
static enum blockz_status add_fd(struct edits *edits, int fd, struct blockz_fault *fault)
{
	int *fds = reallocarray(edits->fds, edits->fd_count + 1, sizeof(*fds));
	if (fds == NULL) {
		close(fd);
		return tool_fault(fault, BLOCKZ_FAILED, "no memory");
	}
	fds[edits->fd_count] = fd;
	edits->fds = fds;
	edits->fd_count++;
	return BLOCKZ_OK;
}

static bool can_be_reread(int fd)
{
	struct stat st;
	return fstat(fd, &st) == 0 && (S_ISREG(st.st_mode) || S_ISBLK(st.st_mode));
}

/* Copies a stream to an unnamed file, of at most room + 1 bytes, whose descriptor is added. */
static enum blockz_status spool_stream(struct edits *edits, int fd, const char *path, uint64_t room, int *spool_ret,
				       struct blockz_fault *fault)
{
	struct blockz_source stream;
	struct blockz_fault why;
	uint64_t copied = 0;
	enum blockz_status status = scratch_open(-1, spool_ret, fault);
	if (status != BLOCKZ_OK)
		return status;
	status = add_fd(edits, *spool_ret, fault);
	if (status != BLOCKZ_OK)
		return status;
	int error = blockz_source_fd(fd, &stream, &why) != BLOCKZ_OK
			    ? why.error
			    : copy_bytes(&stream, 0, room < UINT64_MAX ? room + 1 : room, *spool_ret, &copied);
	return error == 0 ? BLOCKZ_OK : tool_fault_errno(fault, error, "read %s into a temporary file", path);
}

/* Opens an input and adds its descriptor; a stream becomes a file. */
static enum blockz_status open_input(struct edits *edits, const char *path, uint64_t room,
				     struct blockz_source *source_ret, struct blockz_fault *fault)
{
	int fd = is_stream(path) ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0) : open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return tool_fault_errno(fault, errno, "open %s", path);
	enum blockz_status status = add_fd(edits, fd, fault);
	if (status != BLOCKZ_OK)
		return status;
	audience_add(edits->audience, fd);
	if (!can_be_reread(fd))
		status = spool_stream(edits, fd, path, room, &fd, fault);
	return status == BLOCKZ_OK ? blockz_source_fd(fd, source_ret, fault) : status;
}

enum blockz_status edits_add_input(struct edits *edits, const char *path, struct blockz_range place,
				   bool same_elsewhere, struct blockz_fault *fault)
{
	struct blockz_edit edit = { .same_elsewhere = same_elsewhere };
	if (place.start >= place.end)
		return tool_fault(fault, BLOCKZ_USAGE, "image offset %" PRIu64 " is beyond the image of %" PRIu64 " byte%s",
				  place.start, place.end, plural(place.end));
	uint64_t room = place.end - place.start;
	enum blockz_status status = open_input(edits, path, room, &edit.data, fault);
	if (status != BLOCKZ_OK)
		return status;
	if (edit.data.size == 0)
		return tool_fault(fault, BLOCKZ_USAGE, "%s is empty, expected the bytes to write", path);
	if (edit.data.size > room)
		return tool_fault(fault, BLOCKZ_USAGE,
				  "%s is too large: from image offset %" PRIu64 " there is room for %" PRIu64 " byte%s",
				  path, place.start, room, plural(room));
	edit.range = (struct blockz_range){ place.start, place.start + edit.data.size };
	return add_edit(edits, &edit, fault);
}

static enum blockz_status open_image(struct edits *edits, const char *path, uint64_t image_size,
				     struct blockz_source *source_ret, struct blockz_fault *fault)
{
	struct blockz_source source;
	enum blockz_status status = open_input(edits, path, image_size, &source, fault);
	if (status != BLOCKZ_OK)
		return status;
	if (source.size != image_size)
		return tool_fault(fault, BLOCKZ_USAGE,
				  "%s has %" PRIu64 " byte%s%s, expected %" PRIu64 " as the image has", path, source.size,
				  plural(source.size), source.size > image_size ? " or more" : "", image_size);
	*source_ret = source;
	return BLOCKZ_OK;
}

enum blockz_status edits_add_image(struct edits *edits, const char *path, uint64_t image_size,
				   struct blockz_fault *fault)
{
	struct blockz_edit edit = { .range = { 0, image_size }, .same_elsewhere = true };
	enum blockz_status status = open_image(edits, path, image_size, &edit.data, fault);
	return status == BLOCKZ_OK ? add_edit(edits, &edit, fault) : status;
}

enum blockz_status edits_add_difference(struct edits *edits, const char *edited, const char *base,
					uint64_t image_size, struct blockz_fault *fault)
{
	struct blockz_source source, base_source;
	struct blockz_range *ranges = NULL;
	size_t count = 0;
	enum blockz_status status = open_image(edits, edited, image_size, &source, fault);
	if (status != BLOCKZ_OK)
		return status;
	int edited_fd = edits->fds[edits->fd_count - 1];
	status = open_image(edits, base, image_size, &base_source, fault);
	if (status == BLOCKZ_OK)
		status = diff_files(edited_fd, edits->fds[edits->fd_count - 1], &ranges, &count, fault);
	for (size_t i = 0; status == BLOCKZ_OK && i < count; i++) {
		struct blockz_edit edit = { .range = ranges[i], .data = source, .data_off = ranges[i].start,
					    .same_elsewhere = true };
		status = add_edit(edits, &edit, fault);
	}
	free(ranges);
	return status;
}

bool edits_are_elsewhere(const struct edits *edits, const struct blockz_map *map)
{
	for (size_t i = 0; i < edits->count; i++) {
		const struct blockz_range named = edits->items[i].range;
		struct blockz_map_range range = { .end = named.start };
		while (range.end < named.end && blockz_map_range_at(map, range.end, &range))
			if (!range.patchable)
				return true;
	}
	return false;
}

void edits_free(struct edits *edits)
{
	for (size_t i = 0; i < edits->fd_count; i++)
		close(edits->fds[i]);
	free(edits->fds);
	free(edits->items);
	*edits = (struct edits){ 0 };
}
