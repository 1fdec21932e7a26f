/* SPDX-License-Identifier: BSD-3-Clause */
/* Each parameter has a function and a row; what does not go together is a row of another table. */
#define NBDKIT_API_VERSION 2
#include "settings.h"

#include <nbdkit-plugin.h>
#include <stdio.h>
#include <string.h>

#include "blockz_pages.h"
#include "cli/size.h"
#include "files/suffix.h"
#include "servers/parameters.h"

/* ---- One parameter */

static int set_size(void *ctx, const char *value)
{
	struct settings *settings = ctx;
	return parameter_size(&settings->pages.size, value);
}

static int set_load(void *ctx, const char *value)
{
	struct settings *settings = ctx;
	return parameter_file(&settings->load, value);
}

/* Any name, but one that speaks of a format that is not written. */
static int set_save(void *ctx, const char *value)
{
	struct settings *settings = ctx;
	const struct blockz_format *format = format_by_suffix(value);
	settings->format = format != NULL ? format : blockz_format_by_name(BLOCKZ_PAGES_FORMAT);
	if (settings->format->is_read_only) {
		nbdkit_error("save=%s: %s files are not written", value, settings->format->suffix);
		return -1;
	}
	return parameter_file(&settings->save, value);
}

static int set_page(void *ctx, const char *value)
{
	struct settings *settings = ctx;
	uint64_t size;
	if (parameter_size(&size, value) < 0)
		return -1;
	if (size < BLOCKZ_PAGE_SIZE_MIN || size > BLOCKZ_PAGE_SIZE_MAX || (size & (size - 1)) != 0) {
		nbdkit_error("page=%s: expected a power of two from %d to %d", value, BLOCKZ_PAGE_SIZE_MIN,
			     BLOCKZ_PAGE_SIZE_MAX);
		return -1;
	}
	settings->pages.page_size = (uint32_t)size;
	return 0;
}

static int set_level(void *ctx, const char *value)
{
	struct settings *settings = ctx;
	return nbdkit_parse_int("level", value, &settings->pages.level);
}

static int set_cache(void *ctx, const char *value)
{
	struct settings *settings = ctx;
	return parameter_size(&settings->pages.cache, value);
}

static int set_max_memory(void *ctx, const char *value)
{
	struct settings *settings = ctx;
	if (parameter_size(&settings->pages.memory_max, value) < 0)
		return -1;
	if (settings->pages.memory_max == 0)
		nbdkit_error("max-memory=%s: nothing fits in that", value);
	return settings->pages.memory_max > 0 ? 0 : -1;
}

static int set_compress(void *ctx, const char *value)
{
	struct settings *settings = ctx;
	int result = parameter_word(&settings->plain, "compress", value, BLOCKZ_PAGES_FORMAT, "none");
	if (settings->plain && settings->pages.layout == BLOCKZ_PAGES_COMPRESSED)
		settings->pages.layout = BLOCKZ_PAGES_SPARSE;
	return result;
}

static int set_layout(void *ctx, const char *value)
{
	struct settings *settings = ctx;
	bool direct;
	int result = parameter_word(&direct, "layout", value, "sparse", "direct");
	settings->pages.layout = direct ? BLOCKZ_PAGES_DIRECT : BLOCKZ_PAGES_SPARSE;
	return result;
}

static int set_mlock(void *ctx, const char *value)
{
	struct settings *settings = ctx;
	return parameter_bool(&settings->lock, value);
}

static int add_raw(void *ctx, const char *value)
{
	struct settings *settings = ctx;
	struct blockz_fault fault;
	struct blockz_range range;
	enum blockz_status status = size_parse_range(value, &range, &fault);
	if (status == BLOCKZ_OK)
		status = rawlist_add(&settings->raw, range, &fault);
	return parameter_judge("raw", status, &fault);
}

static int add_raw_partition(void *ctx, const char *value)
{
	struct settings *settings = ctx;
	struct blockz_fault fault;
	return parameter_judge("raw-partition", rawchoice_add(&settings->choice, value, &fault), &fault);
}

static int set_raw_table(void *ctx, const char *value)
{
	struct settings *settings = ctx;
	return parameter_bool(&settings->choice.table, value);
}

static int set_sector_size(void *ctx, const char *value)
{
	struct settings *settings = ctx;
	return parameter_sector_size(&settings->choice.sector_size, value);
}

/* ---- All of them */

enum { SIZE, LOAD, SAVE, PAGE, LEVEL, CACHE, MAX_MEMORY, COMPRESS, LAYOUT, MLOCK, RAW, RAW_PARTITION, RAW_TABLE, SECTOR_SIZE };

static const struct parameter rows[] = {
	[SIZE] = { "size", set_size, false },
	[LOAD] = { "load", set_load, false },
	[SAVE] = { "save", set_save, false },
	[PAGE] = { "page", set_page, false },
	[LEVEL] = { "level", set_level, false },
	[CACHE] = { "cache", set_cache, false },
	[MAX_MEMORY] = { "max-memory", set_max_memory, false },
	[COMPRESS] = { "compress", set_compress, false },
	[LAYOUT] = { "layout", set_layout, false },
	[MLOCK] = { "mlock", set_mlock, false },
	[RAW] = { "raw", add_raw, true },
	[RAW_PARTITION] = { "raw-partition", add_raw_partition, true },
	[RAW_TABLE] = { "raw-table", set_raw_table, false },
	[SECTOR_SIZE] = { "sector-size", set_sector_size, false },
};

static bool is_given(const struct settings *settings, size_t row)
{
	return (settings->given >> row & 1) != 0;
}

int settings_take(struct settings *settings, const char *key, const char *value)
{
	return parameters_take(rows, sizeof(rows) / sizeof(rows[0]), &settings->given, settings, key, value);
}

int settings_complete(const struct settings *settings)
{
	bool direct = settings->pages.layout == BLOCKZ_PAGES_DIRECT;
	const struct {
		size_t row;
		bool fits;
		const char *needed;
	} needs[] = {
		{ LEVEL, !settings->plain, "compress=zstd" },
		{ CACHE, !settings->plain, "compress=zstd" },
		{ LAYOUT, settings->plain, "compress=none" },
		{ MLOCK, !settings->lock || direct, "layout=direct" },
		{ RAW, settings->save.path != NULL, "save=FILE" },
		{ RAW_PARTITION, settings->save.path != NULL, "save=FILE" },
		{ RAW_TABLE, settings->save.path != NULL, "save=FILE" },
		{ SECTOR_SIZE, rawchoice_looks(&settings->choice), "raw-partition= and raw-table=" },
	};
	for (size_t i = 0; i < sizeof(needs) / sizeof(needs[0]); i++) {
		if (!is_given(settings, needs[i].row) || needs[i].fits)
			continue;
		nbdkit_error("%s= is for %s", rows[needs[i].row].key, needs[i].needed);
		return -1;
	}
	if (is_given(settings, SIZE) || is_given(settings, LOAD))
		return 0;
	nbdkit_error("the size is missing: nbdkit blockz-ram SIZE, or load=FILE");
	return -1;
}

void settings_free(struct settings *settings)
{
	named_file_free(&settings->load);
	named_file_free(&settings->save);
	rawlist_free(&settings->raw);
	rawchoice_free(&settings->choice);
}

void settings_help(char text[SETTINGS_HELP_LEN])
{
	char least[16], most[16], page[16], cache[16];
	size_human(least, sizeof(least), BLOCKZ_PAGE_SIZE_MIN);
	size_human(most, sizeof(most), BLOCKZ_PAGE_SIZE_MAX);
	size_human(page, sizeof(page), BLOCKZ_PAGE_SIZE_DEFAULT);
	size_human(cache, sizeof(cache), BLOCKZ_PAGES_CACHE_DEFAULT);
	snprintf(text, SETTINGS_HELP_LEN,
		 "[size=]SIZE            Size of the disk (default: that of the image in load=).\n"
		 "load=FILE              Start from this image: raw, .gz, .xz or .zst.\n"
		 "save=FILE              Write the image at the end, and at SIGUSR1: as .gz or .xz, or else .zst.\n"
		 "raw=START-END          Have it raw there, so that it can be patched; repeatable.\n"
		 "raw-partition=NAME     The same for a partition; repeatable.\n"
		 "raw-table=true|false   The same for the partition tables (default: false).\n"
		 "sector-size=512|4096   Of the disk, to find partitions (default: as found).\n"
		 "max-memory=SIZE        Take no more than this for everything (default: no limit).\n"
		 "page=SIZE              A power of two from %s to %s (default: %s).\n"
		 "level=N                Of zstd, also negative (default: %d).\n"
		 "cache=SIZE             Bytes of parts of pages that wait to be compressed (default: %s).\n"
		 "compress=zstd|none     How pages are kept (default: zstd).\n"
		 "layout=sparse|direct   With compress=none: in one mapping or not (default: sparse).\n"
		 "mlock=true|false       With layout=direct: keep it in RAM (default: false).",
		 least, most, page, BLOCKZ_PAGES_LEVEL_DEFAULT, cache);
}
