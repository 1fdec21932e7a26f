/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The options of partial-deflate, all that this folder has.  Calls disks/ for what is to be raw, files/ and cli/; opens nothing,
 * and leaves to the library what it finds out itself.
 */
#ifndef PACK_PACK_OPTIONS_H
#define PACK_PACK_OPTIONS_H

#include "blockz.h"
#include "cli/cli.h"
#include "disks/rawchoice.h"
#include "disks/rawlist.h"

struct pack_options {
	const char *input, *output; /* "-": a standard stream */
	const char *list;           /* of ranges, a file; NULL: not given */
	struct blockz_pack_options pack; /* but for raw and work */
	struct rawchoice choice;
	struct rawlist raw;         /* the ranges that were given */
	bool force, verify, image_digest;
};

/*
 * Readies *cli and reads all options; ends the program as cli_usage() does where they do not fit together.  Paths point
 * into argv.  Where OUTPUT is a standard stream, cli->json_out is stderr.  The caller frees them.
 */
void pack_options_read(struct pack_options *options, struct cli *cli, int argc, char **argv);

/* Fine for zeros, and twice. */
void pack_options_free(struct pack_options *options);

#endif
