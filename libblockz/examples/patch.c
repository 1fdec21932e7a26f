/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Example: overwrite raw bytes of an image inside its compressed file, as a transaction: all of it or nothing, whatever
 * happens meanwhile.
 *
 * compile: cc -o patch patch.c $(pkg-config --cflags --libs blockz)
 * run:     ./patch FILE OFFSET TEXT
 */
#include <blockz.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static enum blockz_status patch(const struct blockz_store *store, uint64_t off, const char *text, struct blockz_fault *fault)
{
	const struct blockz_memory memory = { text, strlen(text) };
	const struct blockz_edit edit = {
		.range = { off, off + memory.len }, .data = blockz_source_memory(&memory), /* data_off: 0 */
	};
	const struct blockz_source file = blockz_store_source(store);
	const struct blockz_work work = { .threads = 0 };
	enum blockz_recovery recovery;
	struct blockz_map *map = NULL;
	struct blockz_plan *plan = NULL;
	/* If somebody was interrupted in the middle of an edit, that is finished or undone first. */
	enum blockz_status status = blockz_recover(store, BLOCKZ_REMEDY_RECOVER, &recovery, fault);
	if (status == BLOCKZ_OK)
		status = blockz_map_read(&file, NULL, &map, fault);
	/* All that can be refused is refused here; nothing was written yet. */
	if (status == BLOCKZ_OK)
		status = blockz_plan_new(&file, map, &edit, 1, &work, &plan, fault);
	if (status == BLOCKZ_OK)
		status = blockz_plan_apply(plan, store, fault);
	if (status == BLOCKZ_OK)
		printf("%" PRIu64 " bytes changed, and %" PRIu64 " of checks\n", blockz_plan_info(plan).payload_bytes,
		       blockz_plan_info(plan).check_bytes);
	blockz_plan_free(plan);
	blockz_map_free(map);
	return status;
}

/* The journal is put beside the file itself: not beside a symbolic link to it. */
static enum blockz_status patch_path(char *path, uint64_t off, const char *text, struct blockz_fault *fault)
{
	char *slash = strrchr(path, '/');
	struct blockz_store store;
	*slash = '\0';
	int dirfd = open(slash == path ? "/" : path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dirfd < 0) {
		snprintf(fault->text, sizeof(fault->text), "%s: %s", path, strerror(errno));
		return BLOCKZ_FAILED;
	}
	enum blockz_status status = blockz_store_open(dirfd, slash + 1, BLOCKZ_STORE_WRITE, &store, fault);
	if (status == BLOCKZ_OK) {
		status = patch(&store, off, text, fault);
		blockz_store_close(&store);
	}
	close(dirfd);
	return status;
}

int main(int argc, char **argv)
{
	/* By enum blockz_state: what a failure left behind. */
	static const char *const states[] = { "unchanged", "rolled back", "updated", "needs recovery", "torn" };
	struct blockz_fault fault = { .state = BLOCKZ_IMAGE_UNCHANGED };
	char *end = NULL;
	uint64_t off = argc == 4 ? strtoull(argv[2], &end, 10) : 0;
	if (argc != 4 || end == argv[2] || *end != '\0' || off > INT64_MAX) {
		fprintf(stderr, "usage: patch FILE OFFSET TEXT\n");
		return BLOCKZ_USAGE;
	}
	char *path = realpath(argv[1], NULL);
	if (path == NULL) {
		fprintf(stderr, "patch: %s: %s\n", argv[1], strerror(errno));
		return BLOCKZ_FAILED;
	}
	enum blockz_status status = patch_path(path, off, argv[3], &fault);
	free(path);
	if (status != BLOCKZ_OK)
		fprintf(stderr, "patch: %s: %s\nimage %s\n", argv[1], fault.text, states[fault.state]);
	return (int)status;
}
