/* SPDX-License-Identifier: BSD-3-Clause */
#define NBDKIT_API_VERSION 2
#include "settings.h"

#include <nbdkit-plugin.h>
#include <stdlib.h>
#include <string.h>

#include "blockz_disk.h"
#include "cli/fault.h"
#include "cli/size.h"

static int set_file(struct settings *settings, const char *value)
{
	if (settings->path != NULL) {
		nbdkit_error("file= is given twice");
		return -1;
	}
	settings->path = nbdkit_absolute_path(value);
	settings->label = settings->path != NULL ? escape(settings->path) : NULL;
	return settings->label != NULL ? 0 : -1;
}

static int set_cache(struct settings *settings, const char *value)
{
	int64_t size = nbdkit_parse_size(value);
	if (size < 0)
		return -1;
	settings->options.cache = (uint64_t)size;
	return 0;
}

static int set_bool(bool *to, const char *value)
{
	int parsed = nbdkit_parse_bool(value);
	*to = parsed == 1;
	return parsed < 0 ? -1 : 0;
}

static int set_readonly(struct settings *settings, const char *value)
{
	return set_bool(&settings->readonly, value);
}

static int set_no_lock(struct settings *settings, const char *value)
{
	return set_bool(&settings->no_lock, value);
}

static int set_commit(struct settings *settings, const char *value)
{
	bool flush = strcmp(value, "flush") == 0;
	if (!flush && strcmp(value, "close") != 0) {
		nbdkit_error("commit=%s: expected flush or close", value);
		return -1;
	}
	settings->options.commit = flush ? BLOCKZ_COMMIT_FLUSH : BLOCKZ_COMMIT_CLOSE;
	return 0;
}

static int set_range(struct settings *settings, const char *value)
{
	settings->range = value;
	return 0;
}

static int set_sector_size(struct settings *settings, const char *value)
{
	struct blockz_fault fault;
	if (size_parse_sector(value, &settings->sector_size, &fault) == BLOCKZ_OK)
		return 0;
	nbdkit_error("sector-size=: %s", fault.text);
	return -1;
}

int settings_take(struct settings *settings, const char *key, const char *value)
{
	static const struct {
		const char *key;
		int (*set)(struct settings *settings, const char *value);
	} rows[] = {
		{ "file", set_file },
		{ "range", set_range },
		{ "sector-size", set_sector_size },
		{ "readonly", set_readonly },
		{ "no-lock", set_no_lock },
		{ "cache", set_cache },
		{ "commit", set_commit },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (strcmp(key, rows[i].key) == 0)
			return rows[i].set(settings, value);
	nbdkit_error("unknown parameter '%s'", key);
	return -1;
}

void settings_free(struct settings *settings)
{
	free(settings->path);
	free(settings->label);
}
