/* SPDX-License-Identifier: BSD-3-Clause */
/* The parameters of the plugin. */
#ifndef NBDKIT_RAM_SETTINGS_H
#define NBDKIT_RAM_SETTINGS_H

#include "blockz_pages.h"
#include "disks/rawchoice.h"
#include "disks/rawlist.h"
#include "servers/parameters.h"

/* Starts as SETTINGS_INIT. */
struct settings {
	struct named_file load, save;
	const struct blockz_format *format; /* of the file to save */
	struct blockz_pages_options pages; /* but for its base; size BLOCKZ_UNKNOWN: not given */
	bool lock;
	struct rawlist raw;
	struct rawchoice choice;
	/* Private. */
	uint64_t given; /* a bit for each parameter */
	bool plain;
};

#define SETTINGS_INIT { .pages = { .size = BLOCKZ_UNKNOWN, .cache = BLOCKZ_PAGES_CACHE_DEFAULT } }

/* Takes KEY=VALUE; value must live as long as the settings.  Returns 0, or -1 after an nbdkit_error(). */
int settings_take(struct settings *settings, const char *key, const char *value);

/* Finds out, behind the last of them, whether they fit together.  Returns 0, or -1 after an nbdkit_error(). */
int settings_complete(const struct settings *settings);

void settings_free(struct settings *settings);

enum { SETTINGS_HELP_LEN = 2048 };

/* Writes the parameters for nbdkit's --help. */
void settings_help(char text[SETTINGS_HELP_LEN]);

#endif
