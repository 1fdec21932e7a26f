/* SPDX-License-Identifier: BSD-3-Clause */
/* The parameters of the plugin. */
#ifndef NBDKIT_SETTINGS_H
#define NBDKIT_SETTINGS_H

#include "blockz_disk.h"
#include "servers/parameters.h"

#define SETTINGS_CACHE_MIB 64 /* the default of cache= */

/* Starts as SETTINGS_INIT. */
struct settings {
	struct named_file file;
	const char *range; /* NULL: not given */
	unsigned sector_size; /* 0: not given */
	bool readonly, no_lock, anywhere;
	struct blockz_disk_options options;
	uint64_t given; /* private: a bit for each parameter */
};

#define SETTINGS_INIT { .options = { .cache = (uint64_t)SETTINGS_CACHE_MIB << 20 } }

/* Takes KEY=VALUE; value must live as long as the settings.  Returns 0, or -1 after an nbdkit_error(). */
int settings_take(struct settings *settings, const char *key, const char *value);
/* Fine for SETTINGS_INIT, and twice. */
void settings_free(struct settings *settings);

#define SETTINGS_TEXT_OF(number) #number
#define SETTINGS_TEXT(number) SETTINGS_TEXT_OF(number)

#define SETTINGS_HELP \
	"[file=]FILE            (required) The compressed image: .gz, .xz or .zst.\n" \
	"range=N|NAME           Serve this raw range or partition as the whole disk.\n" \
	"sector-size=512|4096   Of the disk, to find partitions (default: as found).\n" \
	"anywhere=true|false    Write to all of the image, not to raw ranges alone (default: false).\n" \
	"readonly=true|false    Do not write to the file (default: false).\n" \
	"no-lock=true|false     Write where the file system knows no locks (default: false).\n" \
	"cache=SIZE             Decoded pieces to keep (default: " SETTINGS_TEXT(SETTINGS_CACHE_MIB) "M).\n" \
	"commit=close|flush     When the file is made valid (default: close)."

#endif
