/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of containers; a file of none, or of one that cannot be read, is plain bytes. */
#include "container/container.h"

#include <inttypes.h>

#include "base/fault.h"

#define ROW(name) &name,
static const struct container *const containers[] = { CONTAINER_ROWS(ROW) };

static void become_plain(struct blocks *blocks, uint64_t size)
{
	blocks_free(blocks);
	*blocks = (struct blocks){ .size = size, .container = "plain" };
}

static void note_fault(struct blocks *blocks, const char *container, const struct blockz_fault *fault)
{
	blocks->note[0] = '\0';
	fault_append(blocks->note, sizeof(blocks->note), "%s: ", container);
	if (fault->offset != BLOCKZ_UNKNOWN)
		fault_append(blocks->note, sizeof(blocks->note), "offset %" PRIu64 ": ", fault->offset);
	fault_append(blocks->note, sizeof(blocks->note), "%s", fault->text);
}

enum blockz_status container_read(const struct blockz_source *file, const struct codec_env *env,
				  struct blocks *blocks, struct blockz_fault *fault)
{
	uint8_t head[CONTAINER_HEAD_LEN];
	size_t len = 0;
	*blocks = (struct blocks){ .size = file->size, .container = "plain" };
	int error = file->ops->read(file->ctx, head, sizeof(head), 0, &len);
	if (error != 0)
		return fault_errno(fault, error, 0, "read");
	for (size_t i = 0; i < sizeof(containers) / sizeof(containers[0]); i++) {
		struct blockz_fault why = { 0 };
		if (!containers[i]->matches(head, len))
			continue;
		enum blockz_status status = containers[i]->read(file, env, blocks, &why);
		if (status == BLOCKZ_OK)
			return BLOCKZ_OK;
		become_plain(blocks, file->size);
		if (status == BLOCKZ_FAILED)
			return fault_state(fault, fault_set(fault, status, why.offset, "%s", why.text), why.state);
		note_fault(blocks, containers[i]->name, &why);
		return BLOCKZ_OK;
	}
	return BLOCKZ_OK;
}
