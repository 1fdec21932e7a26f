/* SPDX-License-Identifier: BSD-3-Clause */
/* Each parameter has a function and a row. */
#include "settings.h"

#include "blockz_disk.h"
#include "servers/parameters.h"

static int set_file(void *ctx, const char *value)
{
	struct settings *settings = ctx;
	return parameter_file(&settings->file, value);
}

static int set_cache(void *ctx, const char *value)
{
	struct settings *settings = ctx;
	return parameter_size(&settings->options.cache, value);
}

static int set_anywhere(void *ctx, const char *value)
{
	struct settings *settings = ctx;
	return parameter_bool(&settings->anywhere, value);
}

static int set_readonly(void *ctx, const char *value)
{
	struct settings *settings = ctx;
	return parameter_bool(&settings->readonly, value);
}

static int set_no_lock(void *ctx, const char *value)
{
	struct settings *settings = ctx;
	return parameter_bool(&settings->no_lock, value);
}

static int set_commit(void *ctx, const char *value)
{
	struct settings *settings = ctx;
	bool closes;
	int result = parameter_word(&closes, "commit", value, "flush", "close");
	settings->options.commit = closes ? BLOCKZ_COMMIT_CLOSE : BLOCKZ_COMMIT_FLUSH;
	return result;
}

static int set_range(void *ctx, const char *value)
{
	struct settings *settings = ctx;
	settings->range = value;
	return 0;
}

static int set_sector_size(void *ctx, const char *value)
{
	struct settings *settings = ctx;
	return parameter_sector_size(&settings->sector_size, value);
}

int settings_take(struct settings *settings, const char *key, const char *value)
{
	static const struct parameter rows[] = {
		{ "file", set_file, false },
		{ "range", set_range, true },
		{ "sector-size", set_sector_size, true },
		{ "anywhere", set_anywhere, true },
		{ "readonly", set_readonly, true },
		{ "no-lock", set_no_lock, true },
		{ "cache", set_cache, true },
		{ "commit", set_commit, true },
	};
	return parameters_take(rows, sizeof(rows) / sizeof(rows[0]), &settings->given, settings, key, value);
}

void settings_free(struct settings *settings)
{
	named_file_free(&settings->file);
}
