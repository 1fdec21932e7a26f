/* SPDX-License-Identifier: BSD-3-Clause */
/* What commands that only read a compressed file do the same way. */
#ifndef CLI_READING_H
#define CLI_READING_H

#include "cli/cli.h"

/* An exit status beside those of enum blockz_status: all went well, but the file holds more than the image. */
enum { STATUS_APPENDED = 8 };

/* Warns, unless -q, of what stands behind the image. */
void reading_warn(struct cli *cli, const char *file, const struct blockz_map_info *info);

/* blockz_map_read() by cli->map, with that warning. */
enum blockz_status reading_map(struct cli *cli, const char *file, const struct blockz_source *source,
			       struct blockz_map **map_ret, struct blockz_fault *fault);

/* cli_finish(), with STATUS_APPENDED in the place of 0 where there was a warning. */
int reading_finish(struct cli *cli, enum blockz_status status);

#endif
