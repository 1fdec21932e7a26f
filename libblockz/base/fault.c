/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/fault.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum blockz_status fault_set(struct blockz_fault *fault, enum blockz_status status, uint64_t offset,
			     const char *format, ...)
{
	if (fault == NULL)
		return status;
	fault->status = status;
	fault->state = BLOCKZ_IMAGE_UNCHANGED;
	fault->remedy = BLOCKZ_REMEDY_RECOVER;
	fault->error = 0;
	fault->offset = offset;
	va_list args;
	va_start(args, format);
	vsnprintf(fault->text, sizeof(fault->text), format, args);
	va_end(args);
	return status;
}

enum blockz_status fault_errno(struct blockz_fault *fault, int error, uint64_t offset, const char *what)
{
	/* Thread-safe in musl, and in glibc since 2.32; of strerror_r there are two that do not go together. */
	fault_set(fault, BLOCKZ_FAILED, offset, "%s: %s", what, strerror(error));
	if (fault != NULL)
		fault->error = error;
	return BLOCKZ_FAILED;
}

enum blockz_status fault_nomem(struct blockz_fault *fault)
{
	return fault_errno(fault, ENOMEM, BLOCKZ_UNKNOWN, "allocation");
}

enum blockz_status fault_state(struct blockz_fault *fault, enum blockz_status status, enum blockz_state state)
{
	if (fault != NULL)
		fault->state = state;
	return status;
}

enum blockz_status fault_remedy(struct blockz_fault *fault, enum blockz_remedy remedy)
{
	if (fault != NULL)
		fault->remedy = remedy;
	return fault_state(fault, BLOCKZ_NEEDS_RECOVERY, BLOCKZ_IMAGE_NEEDS_RECOVERY);
}
