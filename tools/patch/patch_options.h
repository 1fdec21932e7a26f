/* SPDX-License-Identifier: BSD-3-Clause */
/* The options of blockz-patch. */
#ifndef PATCH_PATCH_OPTIONS_H
#define PATCH_PATCH_OPTIONS_H

#include "blockz.h"
#include "cli/cli.h"

/* --set OFF=DATA */
struct patch_set {
	uint64_t off;
	const char *path;
};

struct patch_options {
	const char *file, *partition, *input, *from, *base, *output, *bmap, *composition, *compose, *side; /* NULL: not given */
	char *composition_side; /* beside composition */
	uint64_t offset;
	uint64_t image_size; /* with resize */
	struct patch_set *sets;
	size_t set_count;
	bool has_offset, dry_run, recover, no_journal, no_lock, force, image_digest, anywhere, resize;
	enum blockz_way way; /* with anywhere */
	enum blockz_remedy remedy; /* of recover */
};

/*
 * Readies *cli and reads all options; ends the program as cli_usage() does where they do not fit together.  Paths point
 * into argv.  Where a copy goes to stdout, cli->json_out is stderr.
 */
void patch_options_read(struct patch_options *options, struct cli *cli, int argc, char **argv);

/* Fine for zeros. */
void patch_options_free(struct patch_options *options);

#endif
