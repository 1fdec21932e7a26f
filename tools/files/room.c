/* SPDX-License-Identifier: BSD-3-Clause */
/* By fallocate(), which not every file system has. */
#include "files/room.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>

#include "cli/fault.h"

enum blockz_status room_take(int fd, uint64_t len, struct blockz_fault *fault)
{
	if (len == 0 || fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)len) == 0)
		return BLOCKZ_OK;
	return errno == ENOSPC || errno == EDQUOT || errno == EFBIG
		       ? tool_fault_errno(fault, errno, "room for %" PRIu64 " bytes beside it", len)
		       : BLOCKZ_OK;
}
