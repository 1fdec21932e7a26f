/* SPDX-License-Identifier: BSD-3-Clause */
/* The list of formats. */
#include "format/formats.h"

#include <stdio.h>
#include <string.h>

#include "base/export.h"
#include "base/fault.h"
#include "format/others.h"

#define ROW(name) &name,
static const struct format *const formats[] = { FORMAT_ROWS(ROW) };

enum { FORMAT_COUNT = sizeof(formats) / sizeof(formats[0]) };

EXPORT const struct blockz_format *blockz_format_at(size_t index)
{
	return index < FORMAT_COUNT ? &formats[index]->public : NULL;
}

EXPORT const struct blockz_format *blockz_format_by_magic(const void *head, size_t len)
{
	const struct format *format = format_by_magic(head, len);
	return format != NULL ? &format->public : NULL;
}

EXPORT const struct blockz_format *blockz_format_by_name(const char *name)
{
	const struct format *format = format_by_name(name);
	return format != NULL ? &format->public : NULL;
}

const struct format *format_by_name(const char *name)
{
	for (size_t i = 0; i < FORMAT_COUNT; i++)
		if (strcmp(formats[i]->public.name, name) == 0)
			return formats[i];
	return NULL;
}

enum blockz_status format_choose_check(const struct blockz_format *public, const char *name,
				       enum check_method *method_ret, struct blockz_fault *fault)
{
	static const struct {
		const char *name;
		enum check_method method;
	} methods[] = {
		{ "none", CHECK_NONE }, { "crc32", CHECK_CRC32 }, { "crc64", CHECK_CRC64 }, { "sha256", CHECK_SHA256 },
		{ "xxh64", CHECK_XXH64_LOW32 },
	};
	const char *const *offered = public->checks;
	while (name != NULL && *offered != NULL && strcmp(*offered, name) != 0)
		offered++;
	if (*offered == NULL)
		return fault_set(fault, BLOCKZ_USAGE, BLOCKZ_UNKNOWN, "check %s: %s does not have it", name, public->name);
	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
		if (strcmp(methods[i].name, *offered) == 0)
			*method_ret = methods[i].method;
	return BLOCKZ_OK;
}

const struct format *format_by_magic(const uint8_t *head, size_t len)
{
	for (size_t i = 0; i < FORMAT_COUNT; i++)
		if (formats[i]->matches(head, len))
			return formats[i];
	return NULL;
}

/* "gzip, xz or zstd" */
static void list_names(char *text, size_t room)
{
	size_t len = 0;
	for (size_t i = 0; i < FORMAT_COUNT; i++)
		len += (size_t)snprintf(text + len, room - len, "%s%s", i == 0 ? "" : i + 1 < FORMAT_COUNT ? ", " : " or ",
					formats[i]->public.name);
}

enum blockz_status format_refuse(const uint8_t *head, size_t len, struct blockz_fault *fault)
{
	char names[64];
	const char *other = other_by_magic(head, len);
	list_names(names, sizeof(names));
	if (other != NULL)
		return fault_set(fault, BLOCKZ_UNSUPPORTED, BLOCKZ_UNKNOWN, "is %s, expected %s", other, names);
	return fault_set(fault, BLOCKZ_UNSUPPORTED, 0, "not a compressed file of a known format, expected %s", names);
}
