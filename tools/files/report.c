/* SPDX-License-Identifier: BSD-3-Clause */
/* Files beside the file are looked for by the suffixes that such files have. */
#include "files/report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/json.h"
#include "cli/stream.h"

static bool is_older(const struct stat *a, const struct stat *b)
{
	if (a->st_mtim.tv_sec != b->st_mtim.tv_sec)
		return a->st_mtim.tv_sec < b->st_mtim.tv_sec;
	return a->st_mtim.tv_nsec < b->st_mtim.tv_nsec;
}

static bool is_same(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* The length of path without the suffix of its format. */
static size_t stem_len(const char *path)
{
	const struct blockz_format *format;
	size_t len = strlen(path);
	for (size_t i = 0; (format = blockz_format_at(i)) != NULL; i++) {
		size_t suffix = strlen(format->suffix);
		if (len > suffix && strcmp(path + len - suffix, format->suffix) == 0)
			return len - suffix;
	}
	return len;
}

/* Those of the compressed file and those of the image: both have changed. */
json_t *report_stale(const char *path, bool edited, const char *renewed)
{
	static const char *const suffixes[] = { ".sig", ".asc", ".sign", ".md5", ".sha256", ".sha256sum", ".sha512",
						".bmap", ".zsync" };
	struct stat self, other, fits;
	size_t len = strlen(path), stems[] = { len, stem_len(path) }, room = len + 16;
	json_t *list = json_array();
	char *name = malloc(room);
	bool has_renewed = renewed != NULL && stat(renewed, &fits) == 0;
	bool known = name != NULL && list != NULL && !is_stream(path) && stat(path, &self) == 0;
	for (size_t i = 0; known && i < (stems[1] < len ? 2 : 1); i++) {
		for (size_t j = 0; j < sizeof(suffixes) / sizeof(suffixes[0]); j++) {
			snprintf(name, room, "%.*s%s", (int)stems[i], path, suffixes[j]);
			if (stat(name, &other) < 0 || (has_renewed && is_same(&other, &fits)))
				continue;
			if (edited || is_older(&other, &self))
				json_array_append_new(list, json_name(name));
		}
	}
	free(name);
	return list;
}

enum blockz_status report_digests(struct report *report, const struct blockz_source *file,
				  const struct blockz_map *map, const struct blockz_work *work,
				  struct blockz_fault *fault)
{
	enum blockz_status status = digest_source(file, work, report->sha256, fault);
	return status == BLOCKZ_OK && map != NULL ? digest_image(file, map, work, report->image_sha256, fault) : status;
}

json_t *report_json(const struct report *report)
{
	json_t *object = json_pack("{s:o,s:o}", "path", json_path(report->path),
				   "size", json_bytes(report->size));
	if (report->sha256[0] != '\0')
		json_object_set_new(object, "sha256", json_string(report->sha256));
	json_object_set_new(object, "image_size", json_bytes(report->image_size));
	if (report->image_sha256[0] != '\0')
		json_object_set_new(object, "image_sha256", json_string(report->image_sha256));
	json_object_set_new(object, "stale", report_stale(report->path, report->edited, report->renewed));
	return object;
}
