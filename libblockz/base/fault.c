/* SPDX-License-Identifier: BSD-3-Clause */
/* Texts are cut at a whole character where they are too long. */
#include "base/fault.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Behind a whole character of UTF-8. */
static void mark_cut(char *text, size_t room)
{
	static const char dots[] = "...";
	size_t len = room > sizeof(dots) ? room - sizeof(dots) : 0;
	while (len > 0 && ((unsigned char)text[len] & 0xc0) == 0x80)
		len--;
	snprintf(text + len, room - len, "%s", dots);
}

static void fill(char *text, size_t room, const char *format, va_list args)
{
	int len = vsnprintf(text, room, format, args);
	if (len > 0 && (size_t)len >= room)
		mark_cut(text, room);
}

enum blockz_status fault_set(struct blockz_fault *fault, enum blockz_status status, uint64_t offset,
			     const char *format, ...)
{
	if (fault == NULL)
		return status;
	fault->status = status;
	fault->subject = BLOCKZ_ABOUT_FILE;
	fault->state = BLOCKZ_IMAGE_UNCHANGED;
	fault->remedy = BLOCKZ_REMEDY_RECOVER;
	fault->error = 0;
	fault->offset = offset;
	va_list args;
	va_start(args, format);
	fill(fault->text, sizeof(fault->text), format, args);
	va_end(args);
	return status;
}

void fault_append(char *text, size_t room, const char *format, ...)
{
	size_t len = strlen(text);
	va_list args;
	va_start(args, format);
	fill(text + len, room - len, format, args);
	va_end(args);
}

enum blockz_status fault_errno(struct blockz_fault *fault, int error, uint64_t offset, const char *what)
{
	/* Thread-safe in musl, and in glibc since 2.32; of strerror_r there are two that do not go together. */
	fault_set(fault, BLOCKZ_FAILED, offset, "%s: %s", what, strerror(error));
	if (fault != NULL)
		fault->error = error;
	return BLOCKZ_FAILED;
}

enum blockz_status fault_about(struct blockz_fault *fault, enum blockz_status status, enum blockz_subject subject)
{
	if (status != BLOCKZ_OK && fault != NULL && fault->subject == BLOCKZ_ABOUT_FILE)
		fault->subject = subject;
	return status;
}

enum blockz_status fault_nomem(struct blockz_fault *fault)
{
	return fault_about(fault, fault_errno(fault, ENOMEM, BLOCKZ_UNKNOWN, "allocation"), BLOCKZ_ABOUT_MEMORY);
}

enum blockz_status fault_state(struct blockz_fault *fault, enum blockz_status status, enum blockz_state state)
{
	if (status != BLOCKZ_OK && fault != NULL)
		fault->state = state;
	return status;
}

enum blockz_status fault_remedy(struct blockz_fault *fault, enum blockz_remedy remedy)
{
	if (fault != NULL)
		fault->remedy = remedy;
	return fault_state(fault, BLOCKZ_NEEDS_RECOVERY, BLOCKZ_IMAGE_NEEDS_RECOVERY);
}
