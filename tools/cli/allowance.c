/* SPDX-License-Identifier: BSD-3-Clause */
/* The least of what the machine has, limits of the process, and control groups up to the root. */
#include "cli/allowance.h"

#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { LEN_MAX = 3 * PATH_MAX };

/* Nothing could run in 0 bytes, so that is no limit. */
static void take_least(uint64_t value, uint64_t *least)
{
	if (value > 0 && value < *least)
		*least = value;
}

/* ---- Files of the kernel */

static FILE *open_below(const char *root, const char *path)
{
	char name[LEN_MAX];
	snprintf(name, sizeof(name), "%s%s", root, path);
	return fopen(name, "re");
}

/* Takes the number in a file of a control group, if it is there and has one: "max" is none. */
static void take_file(const char *folder, const char *name, uint64_t *least)
{
	uint64_t value;
	FILE *file = open_below(folder, name);
	if (file == NULL)
		return;
	if (fscanf(file, "%" SCNu64, &value) == 1)
		take_least(value, least);
	fclose(file);
}

/* Whether a word is in a list, separated by commas, of len bytes. */
static bool has_word(const char *list, size_t len, const char *word)
{
	size_t word_len = strlen(word);
	while (len >= word_len) {
		const char *comma = memchr(list, ',', len);
		size_t each = comma != NULL ? (size_t)(comma - list) : len;
		if (each == word_len && memcmp(list, word, each) == 0)
			return true;
		if (comma == NULL)
			break;
		list += each + 1;
		len -= each + 1;
	}
	return false;
}

/* Blanks and backslashes stand as \ooo in the list of mounts. */
static void unescape(char *text)
{
	char *to = text;
	for (unsigned code; *text != '\0'; to++) {
		if (sscanf(text, "\\%3o", &code) == 1) {
			*to = (char)code;
			text += 4;
		} else {
			*to = *text++;
		}
	}
	*to = '\0';
}

/* ---- Control groups: cgroups(7) */

/* The path of this process in the hierarchy of version 2, or in the one of version 1 for memory: "ID:CONTROLLERS:PATH". */
static bool find_path(const char *root, bool is_2, char path[PATH_MAX])
{
	char line[LEN_MAX];
	bool found = false;
	FILE *file = open_below(root, "/proc/self/cgroup");
	while (file != NULL && !found && fgets(line, sizeof(line), file) != NULL) {
		const char *list = strchr(line, ':'), *end = list != NULL ? strchr(list + 1, ':') : NULL;
		if (end == NULL)
			continue;
		size_t len = (size_t)(end - ++list);
		found = is_2 ? strncmp(line, "0::", 3) == 0 : has_word(list, len, "memory");
		snprintf(path, PATH_MAX, "%.*s", (int)strcspn(end + 1, "\n"), end + 1);
	}
	if (file != NULL)
		fclose(file);
	return found;
}

/* Takes the limits of the group in this folder, and of those around it up to the first top bytes of its name. */
static void take_groups(char *folder, size_t top, uint64_t *least)
{
	for (;;) {
		take_file(folder, "/memory.max", least);
		take_file(folder, "/memory.high", least);
		take_file(folder, "/memory.limit_in_bytes", least);
		char *slash = strrchr(folder, '/');
		if (slash == NULL || strlen(folder) <= top)
			return;
		*slash = '\0';
	}
}

/* Of a hierarchy only the part from mount_root on may be mounted, and this process may be elsewhere, as in a namespace. */
static void take_hierarchy(const char *root, const char *mount_root, const char *point, const char *path, uint64_t *least)
{
	char folder[LEN_MAX];
	size_t len = strcmp(mount_root, "/") == 0 ? 0 : strlen(mount_root);
	bool is_below = strncmp(path, mount_root, len) == 0 && (path[len] == '/' || path[len] == '\0');
	snprintf(folder, sizeof(folder), "%s%s%s", root, point, is_below ? path + len : "");
	take_groups(folder, strlen(root) + strlen(point), least);
}

/* A line of proc/PID/mountinfo: "... ROOT POINT ... - TYPE SOURCE OPTIONS", see proc(5). */
static void take_mount(const char *root, const char *line, uint64_t *least)
{
	char mount_root[PATH_MAX], point[PATH_MAX], path[PATH_MAX], type[16], options[512];
	const char *rest = strstr(line, " - ");
	_Static_assert(PATH_MAX == 4096, "as long as the conversions");
	if (rest == NULL || sscanf(line, "%*s %*s %*s %4095s %4095s", mount_root, point) != 2 ||
	    sscanf(rest, " - %15s %*s %511s", type, options) != 2)
		return;
	bool is_2 = strcmp(type, "cgroup2") == 0;
	if (!is_2 && (strcmp(type, "cgroup") != 0 || !has_word(options, strlen(options), "memory")))
		return;
	unescape(mount_root);
	unescape(point);
	if (find_path(root, is_2, path))
		take_hierarchy(root, mount_root, point, path, least);
}

static void take_mounts(const char *root, uint64_t *least)
{
	char *line = NULL;
	size_t room = 0;
	FILE *file = open_below(root, "/proc/self/mountinfo");
	while (file != NULL && getline(&line, &room, file) >= 0)
		take_mount(root, line, least);
	free(line);
	if (file != NULL)
		fclose(file);
}

uint64_t allowance_memory(const char *root)
{
	static const int limits[] = { RLIMIT_AS, RLIMIT_DATA };
	uint64_t least = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
	take_least(SIZE_MAX, &least); /* a process of 32 bits cannot use all of a large machine */
	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		struct rlimit limit;
		if (getrlimit(limits[i], &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
			take_least(limit.rlim_cur, &least);
	}
	take_mounts(root, &least);
	return least;
}
