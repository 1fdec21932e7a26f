/* SPDX-License-Identifier: BSD-3-Clause */
/* The suffixes are those of the formats. */
#include "files/suffix.h"

#include <string.h>

static bool ends_with(const char *text, const char *suffix)
{
	size_t len = strlen(text), suffix_len = strlen(suffix);
	return len >= suffix_len && strcmp(text + len - suffix_len, suffix) == 0;
}

const struct blockz_format *format_by_suffix(const char *path)
{
	const struct blockz_format *format;
	for (size_t i = 0; (format = blockz_format_at(i)) != NULL; i++)
		if (ends_with(path, format->suffix))
			return format;
	return NULL;
}
