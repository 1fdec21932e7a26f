/* SPDX-License-Identifier: BSD-3-Clause */
#include "json.h"

#include <stdlib.h>

#include "fault.h"

json_t *json_text(const char *text)
{
	char *escaped = escape(text);
	json_t *string = escaped != NULL ? json_string(escaped) : NULL;
	free(escaped);
	return string;
}

json_t *json_bytes(uint64_t value)
{
	return value == BLOCKZ_UNKNOWN ? json_null() : json_integer((json_int_t)value);
}

json_t *json_index(enum blockz_index index)
{
	static const char *const names[] = {
		[BLOCKZ_INDEX_NONE] = "none", [BLOCKZ_INDEX_HEADER] = "header", [BLOCKZ_INDEX_TRAILER] = "trailer",
	};
	return json_string(names[index]);
}
