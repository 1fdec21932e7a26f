/* SPDX-License-Identifier: BSD-3-Clause */
/* nbdkit-blockz-ram-plugin: a disk in memory, of compressed pages, that can be loaded from a file and saved to one. */
#define NBDKIT_API_VERSION 2
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base.h"
#include "blockz_pages.h"
#include "cli/fault.h"
#include "cli/size.h"
#include "pages_errno.h"
#include "saver.h"
#include "say.h"
#include "servers/hangup.h"
#include "servers/nbd.h"
#include "settings.h"
#include "statistics.h"
#include "watch.h"

#define THREAD_MODEL NBDKIT_THREAD_MODEL_PARALLEL

/* One for the server, and all connections share it. */
static struct {
	struct settings settings;
	struct base base;
	struct blockz_pages *pages; /* NULL before get_ready() */
	struct saver saver;
	uid_t user; /* who tried to save */
	gid_t group;
} server = { .settings = SETTINGS_INIT };

static char help[SETTINGS_HELP_LEN];

static const char *disk_label(void)
{
	return server.settings.load.path != NULL ? server.settings.load.label : "disk";
}

/* Reports why a request failed, and sets what the client gets to see.  Returns -1. */
static int fail(const struct blockz_fault *fault)
{
	return nbd_fail("disk", fault, pages_errno(fault));
}

/* ---- Parameters */

static void load_plugin(void)
{
	settings_help(help);
}

static int config(const char *key, const char *value)
{
	return settings_take(&server.settings, key, value);
}

static int config_complete(void)
{
	return settings_complete(&server.settings);
}

static void dump_plugin(void)
{
	printf("blockz_version=%s\n", BLOCKZ_VERSION);
}

/* ---- Start */

/* Of what all may take, a quarter at most is for pieces of the file that was loaded. */
static enum blockz_status open_base(struct blockz_fault *fault)
{
	struct settings *settings = &server.settings;
	uint64_t cache = (uint64_t)BASE_CACHE_MIB << 20, memory_max = settings->pages.memory_max;
	if (memory_max > 0 && cache > memory_max / 4)
		cache = memory_max / 4;
	enum blockz_status status = base_open(&server.base, settings->load.path, settings->load.label, cache, fault);
	if (status != BLOCKZ_OK)
		return status;
	uint64_t size = server.base.source.size;
	if (settings->pages.size == BLOCKZ_UNKNOWN)
		settings->pages.size = size;
	if (settings->pages.size < size)
		return tool_fault(fault, BLOCKZ_USAGE,
				  "the image has %" PRIu64 " byte%s, and does not fit into size=%" PRIu64, size, plural(size),
				  settings->pages.size);
	if (memory_max > 0)
		settings->pages.memory_max -= server.base.cache;
	return BLOCKZ_OK;
}

static enum blockz_status open_pages(struct blockz_fault *fault)
{
	struct blockz_pages_options options = server.settings.pages;
	bool is_loaded = server.settings.load.path != NULL, is_lazy = server.base.source.ops != NULL;
	if (is_lazy)
		options.base = &server.base.source;
	enum blockz_status status = blockz_pages_new(&options, &server.pages, fault);
	if (status == BLOCKZ_OK && is_loaded && !is_lazy)
		status = base_copy(&server.base, server.pages, fault);
	return status;
}

/* Whether the file to be saved holds what the disk starts with, as it would be saved. */
static bool is_as_loaded(const struct stat *saved)
{
	const struct settings *settings = &server.settings;
	struct stat loaded;
	return stat(settings->load.path, &loaded) == 0 && loaded.st_dev == saved->st_dev && loaded.st_ino == saved->st_ino &&
	       server.base.format == settings->format &&
	       settings->pages.size == server.base.source.size && settings->raw.count == 0 &&
	       !rawchoice_looks(&settings->choice);
}

/* A disk that starts empty does not replace a file before somebody writes to it. */
static bool is_due_from_the_start(void)
{
	const struct settings *settings = &server.settings;
	struct stat saved;
	if (settings->save.path == NULL)
		return false;
	if (stat(settings->save.path, &saved) < 0)
		return true;
	return settings->load.path != NULL && !is_as_loaded(&saved);
}

static int try_to_save(void)
{
	struct blockz_fault fault;
	server.user = geteuid();
	server.group = getegid();
	if (server.settings.save.path == NULL || saver_try(&server.saver, &fault) == BLOCKZ_OK)
		return 0;
	nbd_report_file(&server.settings.save, &fault);
	return -1;
}

/* Before the fork, so that who starts the server sees what is wrong. */
static int get_ready(void)
{
	struct blockz_fault fault;
	say_start();
	enum blockz_status status = server.settings.load.path != NULL ? open_base(&fault) : BLOCKZ_OK;
	if (status == BLOCKZ_OK)
		status = open_pages(&fault);
	if (status != BLOCKZ_OK) {
		nbd_report(disk_label(), &fault);
		return -1;
	}
	int error = watch_catch();
	if (error != 0)
		nbdkit_error("signals: %s", strerror(error));
	server.saver = (struct saver){ &server.settings, server.pages, &server.base, .failed = false };
	base_add_to(&server.base, &server.saver.audience);
	if (is_due_from_the_start())
		saver_note(&server.saver);
	return error == 0 ? try_to_save() : -1;
}

static void on_save(void)
{
	if (server.settings.save.path != NULL)
		saver_save(&server.saver);
	else
		nbdkit_error("nothing was saved: there is no save=FILE");
}

static void on_statistics(void)
{
	statistics_say(server.pages);
}

/* Is called behind the last request.  Returns the exit status. */
static int finish(void)
{
	saver_stop(&server.saver, true);
	watch_stop();
	saver_stop(&server.saver, false);
	statistics_say(server.pages);
	if (server.settings.save.path != NULL)
		saver_end(&server.saver);
	return saver_has_failed(&server.saver) ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* What a fork undoes, and nbdkit's --user and --group, which come before it. */
static int after_fork(void)
{
	struct blockz_fault fault;
	say_after_fork();
	if ((server.user != geteuid() || server.group != getegid()) && try_to_save() < 0)
		return -1;
	if (server.settings.lock && blockz_pages_lock(server.pages, &fault) != BLOCKZ_OK) {
		nbd_report("mlock=true", &fault);
		return -1;
	}
	int error = watch_start(on_save, on_statistics);
	if (error == 0)
		error = hangup_start(finish);
	if (error != 0)
		nbdkit_error("a thread for signals: %s", strerror(error));
	return error == 0 ? 0 : -1;
}

/* ---- End */

static void cleanup(void)
{
	hangup_stop();
	int status = finish();
	if (status != EXIT_SUCCESS)
		nbd_exit_with(status);
}

static void unload(void)
{
	blockz_pages_free(server.pages);
	base_close(&server.base);
	settings_free(&server.settings);
}

/* ---- Connections */

static void *open_disk(int readonly)
{
	(void)readonly;
	return NBDKIT_HANDLE_NOT_NEEDED;
}

static void close_disk(void *handle)
{
	(void)handle;
	blockz_pages_rest(server.pages);
}

static int64_t get_size(void *handle)
{
	(void)handle;
	return (int64_t)server.settings.pages.size;
}

/* ---- Requests.  What was written is as safe as it will ever be, so that a flush and FUA have nothing to do. */

static int read_disk(void *handle, void *buf, uint32_t count, uint64_t offset, uint32_t flags)
{
	struct blockz_fault fault;
	(void)handle;
	(void)flags;
	return blockz_pages_read(server.pages, buf, count, offset, &fault) == BLOCKZ_OK ? 0 : fail(&fault);
}

static int write_disk(void *handle, const void *buf, uint32_t count, uint64_t offset, uint32_t flags)
{
	struct blockz_fault fault;
	(void)handle;
	(void)flags;
	enum blockz_status status = blockz_pages_write(server.pages, buf, count, offset, &fault);
	saver_note(&server.saver); /* a part may be written even where it failed */
	return status == BLOCKZ_OK ? 0 : fail(&fault);
}

static int zero_disk(void *handle, uint32_t count, uint64_t offset, uint32_t flags)
{
	return write_disk(handle, NULL, count, offset, flags);
}

static int flush_disk(void *handle, uint32_t flags)
{
	(void)handle;
	(void)flags;
	return 0;
}

static int find_extent(void *handle, uint64_t off, uint64_t len, bool *zeros_ret, uint64_t *len_ret)
{
	struct blockz_fault fault;
	(void)handle;
	return blockz_pages_extent(server.pages, off, len, zeros_ret, len_ret, &fault) == BLOCKZ_OK ? 0 : fail(&fault);
}

static int list_extents(void *handle, uint32_t count, uint64_t offset, uint32_t flags, struct nbdkit_extents *list)
{
	return nbd_list_extents(find_extent, handle, count, offset, flags, list);
}

static struct nbdkit_plugin plugin = {
	.name = "blockz-ram",
	.longname = "a disk in memory, compressed, loaded from a file and saved to one",
	.version = BLOCKZ_VERSION,
	.description = "Serves a disk in memory whose pages are compressed; it can start from an image and be saved as one.",
	.load = load_plugin,
	.unload = unload,
	.dump_plugin = dump_plugin,
	.config = config,
	.config_complete = config_complete,
	.config_help = help,
	.magic_config_key = "size",
	.get_ready = get_ready,
	.after_fork = after_fork,
	.cleanup = cleanup,
	.open = open_disk,
	.close = close_disk,
	.get_size = get_size,
	.block_size = nbd_block_size,
	.can_write = nbd_yes,
	.can_flush = nbd_yes,
	.can_trim = nbd_yes,
	.can_zero = nbd_yes,
	.can_fast_zero = nbd_yes,
	.can_fua = nbd_can_fua,
	.can_multi_conn = nbd_yes, /* one disk stands behind all connections */
	.can_cache = nbd_can_cache,
	.can_extents = nbd_yes,
	.pread = read_disk,
	.pwrite = write_disk,
	.flush = flush_disk,
	.zero = zero_disk,
	.trim = zero_disk,
	.extents = list_extents,
};

NBDKIT_REGISTER_PLUGIN(plugin)
