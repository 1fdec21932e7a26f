/* SPDX-License-Identifier: BSD-3-Clause */
/* nbdkit-blockz-plugin: serve the image inside a compressed file as a disk that can be written, its raw ranges or all of it. */
#define NBDKIT_API_VERSION 2
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "blockz_disk.h"
#include "cli/appended.h"
#include "cli/fault.h"
#include "cli/size.h"
#include "exports.h"
#include "files/compressed.h"
#include "files/overlays.h"
#include "files/scratch_store.h"
#include "patch/overlay_commit.h"
#include "servers/hangup.h"
#include "servers/nbd.h"
#include "settings.h"

#define THREAD_MODEL NBDKIT_THREAD_MODEL_PARALLEL

/* One for the server, and all connections share it.  After get_ready() nothing in it changes before cleanup(). */
static struct {
	struct settings settings;
	struct compressed file;
	struct blockz_overlay *overlay; /* NULL: writes go to the file */
	struct scratch_store scratch;   /* of what a flush commits of the overlay */
	struct scratch_store spool;     /* of what can only be decoded from its beginning */
	struct blockz_disk *disk; /* NULL before get_ready() */
	struct exports exports;
} server = { .settings = SETTINGS_INIT };

/* What a connection is about. */
struct export {
	struct blockz_range range; /* of the image */
	bool writable;
};

static void report_fault(const struct blockz_fault *fault)
{
	nbd_report_file(&server.settings.file, fault);
}

/* Reports why a request failed, and sets what the client gets to see.  Returns -1. */
static int fail(const struct blockz_fault *fault, int error)
{
	report_fault(fault);
	nbdkit_set_error(error);
	return -1;
}

/* ---- Parameters */

static int config(const char *key, const char *value)
{
	return settings_take(&server.settings, key, value);
}

static int config_complete(void)
{
	if (server.settings.file.path == NULL)
		nbdkit_error("the compressed file is missing: nbdkit blockz FILE");
	return server.settings.file.path != NULL ? 0 : -1;
}

static void dump_plugin(void)
{
	const struct blockz_format *format;
	printf("blockz_version=%s\nblockz_formats=", BLOCKZ_VERSION);
	for (size_t i = 0; (format = blockz_format_at(i)) != NULL; i++)
		printf("%s%s", i > 0 ? " " : "", format->name);
	printf("\n");
}

/* ---- Start and end */

static enum blockz_status open_to_read(struct blockz_fault *fault)
{
	const char *path = server.settings.file.path;
	return server.settings.anywhere ? compressed_open_overlaid(&server.file, path, fault)
					: compressed_open(&server.file, path, BLOCKZ_STORE_READ, fault);
}

/* An interrupted edit is seen to first. */
static enum blockz_status open_to_write(struct blockz_fault *fault)
{
	enum blockz_recovery recovery = BLOCKZ_RECOVERY_NONE;
	enum blockz_store_mode mode = server.settings.no_lock ? BLOCKZ_STORE_WRITE_UNLOCKED : BLOCKZ_STORE_WRITE;
	enum blockz_status status = compressed_open(&server.file, server.settings.file.path, mode, fault);
	if (status == BLOCKZ_OK)
		status = blockz_recover(&server.file.store, BLOCKZ_REMEDY_RECOVER, &recovery, fault);
	if (status == BLOCKZ_OK && recovery != BLOCKZ_RECOVERY_NONE)
		nbdkit_debug("%s: an interrupted edit was %s", server.settings.file.label,
			     recovery == BLOCKZ_RECOVERY_FINISHED ? "finished" : "undone");
	return status;
}

static enum blockz_status open_file(struct blockz_fault *fault)
{
	enum blockz_status status = server.settings.readonly ? open_to_read(fault) : open_to_write(fault);
	if (status == BLOCKZ_OK && server.file.store.note != NULL)
		nbdkit_error("%s: warning: %s", server.settings.file.label, server.file.store.note);
	return status;
}

/* One that a crash has left is taken up again, unless all of it is in the file. */
static enum blockz_status open_overlay(struct blockz_fault *fault)
{
	const struct compressed *file = &server.file;
	enum blockz_status status = blockz_overlay_open(file->dirfd, file->name, &file->store, BLOCKZ_OVERLAY_WRITE, &server.overlay,
							fault);
	if (status != BLOCKZ_OK)
		return status;
	switch (blockz_overlay_info(server.overlay).state) {
	case BLOCKZ_OVERLAY_NONE:
		return BLOCKZ_OK;
	case BLOCKZ_OVERLAY_OF_FILE:
		nbdkit_debug("%s: its overlay is taken up again", server.settings.file.label);
		return BLOCKZ_OK;
	case BLOCKZ_OVERLAY_COMMITTED:
		return blockz_overlay_drop(server.overlay, fault);
	default:
		return blockz_overlay_refuse(server.overlay, fault);
	}
}

/* Who writes to the file has to have all of it, or none. */
static enum blockz_status settle_overlay(struct blockz_fault *fault)
{
	const struct compressed *file = &server.file;
	if (server.settings.readonly)
		return BLOCKZ_OK;
	if (!server.settings.anywhere)
		return overlays_refuse(file->dirfd, file->name, &file->store, fault);
	enum blockz_status status = open_overlay(fault);
	if (status == BLOCKZ_OK && server.settings.options.commit == BLOCKZ_COMMIT_FLUSH)
		status = scratch_store_open(&server.scratch, file->dirfd, fault);
	return status;
}

/* nbdkit has no function for what is no error; stderr is still that of who starts the server. */
static void warn_appended(void)
{
	const struct blockz_map_info info = blockz_map_info(blockz_disk_map(server.disk));
	char text[APPENDED_TEXT];
	if (appended_text(text, &info))
		fprintf(stderr, "nbdkit: blockz: %s: %s\n", server.settings.file.label, text);
}

/* The first byte waits for a pass over these pieces, and who starts the server should know why. */
static enum blockz_status open_spool(void *ctx, uint64_t image_bytes, const struct blockz_store **store_ret,
				     struct blockz_fault *fault)
{
	char size[32];
	(void)ctx;
	size_human(size, sizeof(size), image_bytes);
	fprintf(stderr, "nbdkit: blockz: %s: %s lie in pieces that can only be decoded from their beginning; this is done now, "
			"once, and a packed copy is kept in an unnamed file in TMPDIR or /var/tmp\n", server.settings.file.label, size);
	enum blockz_status status = scratch_store_open(&server.spool, -1, fault);
	*store_ret = &server.spool.store;
	return status;
}

/* Opens the file and the disk in it.  0, or -1 after it was reported, with what helps, why not. */
static int open_disk(void)
{
	struct blockz_fault fault;
	enum blockz_status status = open_file(&fault);
	if (status == BLOCKZ_OK)
		status = settle_overlay(&fault);
	if (status != BLOCKZ_OK) {
		report_fault(&fault);
		bool unwritable = status == BLOCKZ_UNSUPPORTED || fault.error == EROFS || fault.error == EACCES;
		if (unwritable && !server.settings.readonly)
			nbdkit_error("readonly=true serves a file without writing to it or beside it");
		return -1;
	}
	struct blockz_disk_options options = server.settings.options;
	options.overlay = server.overlay != NULL ? server.overlay : server.file.overlay;
	options.scratch = server.scratch.store.ops != NULL ? &server.scratch.store : NULL;
	options.spool = open_spool;
	status = blockz_disk_open(&server.file.store, &options, &server.disk, &fault);
	if (status != BLOCKZ_OK)
		report_fault(&fault);
	return status == BLOCKZ_OK ? 0 : -1;
}

static int read_exports(void)
{
	struct blockz_range range;
	struct blockz_fault fault;
	enum blockz_status status = exports_read(&server.exports, server.disk, server.settings.sector_size, &fault);
	server.exports.list_all = server.settings.anywhere;
	if (status == BLOCKZ_OK && server.settings.range != NULL)
		status = exports_find(&server.exports, server.settings.range, &range, &fault);
	if (status != BLOCKZ_OK)
		report_fault(&fault);
	return status == BLOCKZ_OK ? 0 : -1;
}

/* Before the fork, so that who starts the server sees what is wrong. */
static int get_ready(void)
{
	if (open_disk() < 0)
		return -1;
	warn_appended();
	return read_exports();
}

static enum blockz_status commit_overlay(struct blockz_fault *fault)
{
	struct overlay_commit commit = {
		.path = server.settings.file.path, .file = &server.file, .overlay = server.overlay,
	};
	enum blockz_status status = overlay_commit_run(&commit, fault);
	overlay_commit_close(&commit);
	return status;
}

/* Is called behind the last request.  Returns the exit status. */
static int finish(void)
{
	struct blockz_fault fault;
	enum blockz_status status = blockz_disk_close(server.disk, &fault);
	server.disk = NULL;
	if (status == BLOCKZ_OK && server.overlay != NULL && blockz_overlay_info(server.overlay).pages > 0)
		status = commit_overlay(&fault);
	if (status == BLOCKZ_OK)
		return EXIT_SUCCESS;
	report_fault(&fault);
	return fault.state == BLOCKZ_IMAGE_NEEDS_RECOVERY ? BLOCKZ_NEEDS_RECOVERY : (int)status;
}

static int after_fork(void)
{
	int error = hangup_start(finish);
	if (error != 0)
		nbdkit_error("a thread for the end: %s", strerror(error));
	return error == 0 ? 0 : -1;
}

static void cleanup(void)
{
	hangup_stop();
	int status = finish();
	if (status != EXIT_SUCCESS)
		nbd_exit_with(status);
}

static void unload(void)
{
	blockz_disk_close(server.disk, NULL); /* still open if the server did not come to serve */
	blockz_overlay_close(server.overlay);
	scratch_store_close(&server.scratch);
	scratch_store_close(&server.spool);
	exports_free(&server.exports);
	compressed_close(&server.file);
	settings_free(&server.settings);
}

/* ---- Exports */

static int add_export(void *list, const char *name, const char *description)
{
	return nbdkit_add_export(list, name, description);
}

static int list_exports(int readonly, int is_tls, struct nbdkit_exports *list)
{
	(void)readonly;
	(void)is_tls;
	return server.settings.range != NULL ? nbdkit_use_default_export(list) :
				      exports_list(&server.exports, add_export, list);
}

static const char *default_export(int readonly, int is_tls)
{
	(void)readonly;
	(void)is_tls;
	return "";
}

static enum blockz_status find_export(const char *name, struct blockz_range *range_ret, struct blockz_fault *fault)
{
	if (server.settings.range == NULL)
		return exports_find(&server.exports, name, range_ret, fault);
	if (name[0] == '\0')
		return exports_find(&server.exports, server.settings.range, range_ret, fault);
	return tool_fault(fault, BLOCKZ_USAGE, "no export '%.256s': range= leaves only the one without a name", name);
}

static void *open_export(int readonly)
{
	struct blockz_range range;
	struct blockz_fault fault;
	if (find_export(nbdkit_export_name(), &range, &fault) != BLOCKZ_OK) {
		fail(&fault, ENOENT);
		return NULL;
	}
	struct export *export = malloc(sizeof(*export));
	if (export == NULL) {
		nbdkit_error("no memory");
		return NULL;
	}
	bool writable = !readonly && blockz_disk_is_writable(server.disk) &&
			(server.settings.anywhere || exports_has_raw(&server.exports, range));
	*export = (struct export){ range, writable };
	return export;
}

static int64_t get_size(void *handle)
{
	const struct export *export = handle;
	return (int64_t)(export->range.end - export->range.start);
}

static int can_write(void *handle)
{
	const struct export *export = handle;
	return export->writable;
}

/* ---- Requests */

static int read_image(void *handle, void *buf, uint32_t count, uint64_t offset, uint32_t flags)
{
	const struct export *export = handle;
	struct blockz_fault fault;
	(void)flags;
	if (blockz_disk_read(server.disk, buf, count, export->range.start + offset, &fault) != BLOCKZ_OK)
		return fail(&fault, fault_nbd_errno(&fault));
	return 0;
}

static int flush_disk(void *handle, uint32_t flags)
{
	struct blockz_fault fault;
	(void)handle;
	(void)flags;
	return blockz_disk_flush(server.disk, &fault) == BLOCKZ_OK ? 0 : fail(&fault, fault_nbd_errno(&fault));
}

static int write_disk(const void *buf, size_t len, uint64_t off)
{
	struct blockz_fault fault;
	bool writable = blockz_disk_is_writable(server.disk);
	enum blockz_status status = blockz_disk_write(server.disk, buf, len, off, &fault);
	if (status == BLOCKZ_OK)
		return 0;
	return fail(&fault, !writable ? EROFS : status == BLOCKZ_UNSUPPORTED ? EPERM : fault_nbd_errno(&fault));
}

static int write_image(void *handle, const void *buf, uint32_t count, uint64_t offset, uint32_t flags)
{
	const struct export *export = handle;
	int result = write_disk(buf, count, export->range.start + offset);
	return result == 0 && (flags & NBDKIT_FLAG_FUA) != 0 ? flush_disk(handle, 0) : result;
}

static int zero_image(void *handle, uint32_t count, uint64_t offset, uint32_t flags)
{
	return write_image(handle, NULL, count, offset, flags);
}

static int find_extent(void *handle, uint64_t off, uint64_t len, bool *zeros_ret, uint64_t *len_ret)
{
	const struct export *export = handle;
	struct blockz_fault fault;
	off += export->range.start;
	if (blockz_disk_extent(server.disk, off, len, zeros_ret, len_ret, &fault) != BLOCKZ_OK)
		return fail(&fault, fault_nbd_errno(&fault));
	return 0;
}

static int list_extents(void *handle, uint32_t count, uint64_t offset, uint32_t flags, struct nbdkit_extents *list)
{
	return nbd_list_extents(find_extent, handle, count, offset, flags, list);
}

static struct nbdkit_plugin plugin = {
	.name = "blockz",
	.longname = "disk images in compressed files, written in place",
	.version = BLOCKZ_VERSION,
	.description = "Serves the image in a .gz, .xz or .zst; its raw ranges, or all of it, can be written in the compressed file.",
	.unload = unload,
	.dump_plugin = dump_plugin,
	.config = config,
	.config_complete = config_complete,
	.config_help = SETTINGS_HELP,
	.magic_config_key = "file",
	.get_ready = get_ready,
	.after_fork = after_fork,
	.cleanup = cleanup,
	.list_exports = list_exports,
	.default_export = default_export,
	.open = open_export,
	.close = free,
	.get_size = get_size,
	.block_size = nbd_block_size,
	.can_write = can_write,
	.can_flush = nbd_yes,
	.can_fua = nbd_can_fua,
	.can_multi_conn = nbd_yes, /* one disk stands behind all connections, and a flush is for all writes to it */
	.can_cache = nbd_can_cache,
	.can_extents = nbd_yes,
	.pread = read_image,
	.pwrite = write_image,
	.flush = flush_disk,
	.zero = zero_image,
	.extents = list_extents,
};

NBDKIT_REGISTER_PLUGIN(plugin)
