/* SPDX-License-Identifier: BSD-3-Clause */
/* What stands behind the image is a warning, and an exit status of its own. */
#include "cli/reading.h"

#include "cli/appended.h"

bool reading_warn(const struct cli *cli, const char *file, const struct blockz_map_info *info)
{
	char text[APPENDED_TEXT];
	bool appended = appended_text(text, info);
	if (appended)
		cli_warn(cli, file, "%s", text);
	return appended;
}

int reading_finish(struct cli *cli, enum blockz_status status, bool appended)
{
	int result = cli_finish(cli, status);
	return result == BLOCKZ_OK && appended ? STATUS_APPENDED : result;
}
