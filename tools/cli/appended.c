/* SPDX-License-Identifier: BSD-3-Clause */
/* The words are the same for commands and servers. */
#include "cli/appended.h"

#include <inttypes.h>
#include <stdio.h>

#include "cli/size.h"

bool appended_text(char text[APPENDED_TEXT], const struct blockz_map_info *info)
{
	uint64_t len = info->appended_bytes;
	if (len == 0)
		return false;
	snprintf(text, APPENDED_TEXT, "offset %" PRIu64 ": passing over %" PRIu64 " byte%s appended to the image",
		 info->file_size - len, len, plural(len));
	return true;
}
