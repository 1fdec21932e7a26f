/* SPDX-License-Identifier: BSD-3-Clause */
/* What stands behind the image is a warning, and an exit status of its own. */
#include "cli/reading.h"

#include "cli/appended.h"

void reading_warn(struct cli *cli, const char *file, const struct blockz_map_info *info)
{
	char text[APPENDED_TEXT];
	cli->appended = appended_text(text, info);
	if (cli->appended)
		cli_warn(cli, file, "%s", text);
}

enum blockz_status reading_map(struct cli *cli, const char *file, const struct blockz_source *source,
			       struct blockz_map **map_ret, struct blockz_fault *fault)
{
	enum blockz_status status = blockz_map_read(source, &cli->map, map_ret, fault);
	if (status != BLOCKZ_OK)
		return status;
	const struct blockz_map_info info = blockz_map_info(*map_ret);
	reading_warn(cli, file, &info);
	return BLOCKZ_OK;
}

int reading_finish(struct cli *cli, enum blockz_status status)
{
	int result = cli_finish(cli, status);
	return result == BLOCKZ_OK && cli->appended ? STATUS_APPENDED : result;
}
