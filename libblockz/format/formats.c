/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "base/export.h"
#include "format/format.h"

static const struct format *const formats[] = { &format_gzip };

enum { FORMAT_COUNT = sizeof(formats) / sizeof(formats[0]) };

EXPORT const struct blockz_format *blockz_format_at(size_t index)
{
	return index < FORMAT_COUNT ? &formats[index]->public : NULL;
}

const struct format *format_by_name(const char *name)
{
	for (size_t i = 0; i < FORMAT_COUNT; i++)
		if (strcmp(formats[i]->public.name, name) == 0)
			return formats[i];
	return NULL;
}

const struct format *format_by_magic(const uint8_t *head, size_t len)
{
	for (size_t i = 0; i < FORMAT_COUNT; i++)
		if (formats[i]->matches(head, len))
			return formats[i];
	return NULL;
}
