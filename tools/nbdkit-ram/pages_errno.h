/* SPDX-License-Identifier: BSD-3-Clause */
/* What a client of a RAM disk gets to see of a fault. */
#ifndef NBDKIT_RAM_PAGES_ERRNO_H
#define NBDKIT_RAM_PAGES_ERRNO_H

#include <errno.h>

#include "cli/fault.h"

/* The errno value of a fault of a store of pages: a limit on its memory is a disk that is full. */
static inline int pages_errno(const struct blockz_fault *fault)
{
	if (fault->status == BLOCKZ_LIMIT)
		return ENOSPC;
	if (fault->status == BLOCKZ_USAGE)
		return EINVAL;
	return fault_nbd_errno(fault);
}

#endif
