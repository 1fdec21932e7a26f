/* SPDX-License-Identifier: BSD-3-Clause */
/* Any thread may call these. */
#define NBDKIT_API_VERSION 2
#include "servers/nbd.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli/fault.h"

void nbd_report(const char *label, const struct blockz_fault *fault)
{
	char *line = fault_line(fault);
	nbdkit_error("%s: %s", label, line != NULL ? line : "?");
	free(line);
}

void nbd_report_file(const struct named_file *file, const struct blockz_fault *fault)
{
	nbd_report(file->label, fault);
	if (fault->state != BLOCKZ_IMAGE_NEEDS_RECOVERY)
		return;
	char *sentence = state_sentence(fault, file->path);
	nbdkit_error("%s", sentence != NULL ? sentence : "?");
	free(sentence);
}

int nbd_fail(const char *label, const struct blockz_fault *fault, int error)
{
	nbd_report(label, fault);
	nbdkit_set_error(error);
	return -1;
}

static int exit_status;

static void exit_now(void)
{
	fflush(NULL);
	_exit(exit_status);
}

void nbd_exit_with(int status)
{
	exit_status = status;
	if (atexit(exit_now) != 0)
		nbdkit_error("no memory for the exit status");
}

int nbd_yes(void *handle)
{
	(void)handle;
	return 1;
}

int nbd_can_fua(void *handle)
{
	(void)handle;
	return NBDKIT_FUA_NATIVE;
}

int nbd_can_cache(void *handle)
{
	(void)handle;
	return NBDKIT_CACHE_EMULATE;
}

int nbd_block_size(void *handle, uint32_t *minimum, uint32_t *preferred, uint32_t *maximum)
{
	(void)handle;
	*minimum = 1;
	*preferred = 4096; /* cut by no header of a format, and taken by a RAM disk without decoding the page that it is part of */
	*maximum = UINT32_MAX;
	return 0;
}

int nbd_list_extents(nbd_find_extent find, void *handle, uint32_t count, uint64_t offset, uint32_t flags,
		     struct nbdkit_extents *list)
{
	uint64_t end = offset + count;
	bool one = (flags & NBDKIT_FLAG_REQ_ONE) != 0;
	while (offset < end) {
		bool zeros;
		uint64_t len;
		if (find(handle, offset, end - offset, &zeros, &len) < 0)
			return -1;
		if (nbdkit_add_extent(list, offset, len, zeros ? NBDKIT_EXTENT_HOLE | NBDKIT_EXTENT_ZERO : 0) != 0)
			return -1;
		if (one)
			return 0;
		offset += len;
	}
	return 0;
}
