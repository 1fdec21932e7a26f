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
	fault->offset = offset;
	va_list args;
	va_start(args, format);
	vsnprintf(fault->text, sizeof(fault->text), format, args);
	va_end(args);
	return status;
}

enum blockz_status fault_errno(struct blockz_fault *fault, int error, uint64_t offset, const char *what)
{
	char text[128] = "";
	/* The POSIX form of strerror_r; thread-safe, unlike strerror. */
	strerror_r(error, text, sizeof(text));
	return fault_set(fault, BLOCKZ_FAILED, offset, "%s: %s", what, text);
}

enum blockz_status fault_nomem(struct blockz_fault *fault)
{
	return fault_errno(fault, ENOMEM, BLOCKZ_UNKNOWN, "allocation");
}
