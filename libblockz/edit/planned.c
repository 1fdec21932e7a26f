/* SPDX-License-Identifier: BSD-3-Clause */
/* Between writes, what stands there is what stood in the old file, moved by what the writes before made longer or shorter. */
#include "edit/planned.h"

#include <errno.h>
#include <stdlib.h>

#include "base/bisect.h"
#include "base/checked.h"
#include "base/fault.h"
#include "edit/patch.h"

enum blockz_status planned_init(struct planned_file *planned, const struct blockz_plan *plan, const struct blockz_source *file,
				struct blockz_fault *fault)
{
	uint64_t moved = 0; /* forth, or back where it wraps */
	*planned = (struct planned_file){ .plan = plan, .file = file, .size = plan_file_size(plan) };
	planned->starts = calloc(plan->write_count + 1, sizeof(*planned->starts));
	if (planned->starts == NULL)
		return fault_nomem(fault);
	for (size_t i = 0; i < plan->write_count; i++) {
		const struct plan_write *write = &plan->writes[i];
		planned->starts[i] = write->file_off + moved;
		moved += (uint64_t)write->new_length - write->length;
	}
	return BLOCKZ_OK;
}

void planned_free(struct planned_file *planned)
{
	free(planned->starts);
	planned->starts = NULL;
}

static bool ends_before(const void *ctx, uint64_t i, uint64_t off)
{
	const struct planned_file *planned = ctx;
	return planned->starts[i] + planned->plan->writes[i].new_length <= off;
}

/* Reads some of len bytes at off, which are there: those of one write, or those before the next one. */
static int read_some(const struct planned_file *planned, uint8_t *to, size_t len, uint64_t off, size_t *got_ret)
{
	const struct blockz_plan *plan = planned->plan;
	size_t next = (size_t)bisect(plan->write_count, ends_before, planned, off);
	if (next < plan->write_count && planned->starts[next] <= off) {
		const struct plan_write *write = &plan->writes[next];
		uint64_t at = off - planned->starts[next];
		*got_ret = (size_t)min(len, write->new_length - at);
		return patch_read_new(plan, write, at, to, *got_ret, NULL) == BLOCKZ_OK ? 0 : EIO;
	}
	uint64_t behind = next > 0 ? planned->starts[next - 1] + plan->writes[next - 1].new_length : 0;
	uint64_t old_behind = next > 0 ? plan->writes[next - 1].file_off + plan->writes[next - 1].length : 0;
	if (next < plan->write_count)
		len = (size_t)min(len, planned->starts[next] - off);
	return planned->file->ops->read(planned->file->ctx, to, len, old_behind + (off - behind), got_ret);
}

static int read_planned(void *ctx, void *buf, size_t len, uint64_t off, size_t *got_ret)
{
	const struct planned_file *planned = ctx;
	size_t got = 0, all = off < planned->size ? (size_t)min(len, planned->size - off) : 0;
	while (got < all) {
		size_t part = 0;
		int error = read_some(planned, (uint8_t *)buf + got, all - got, off + got, &part);
		if (error != 0 || part == 0)
			return error != 0 ? error : EIO;
		got += part;
	}
	*got_ret = got;
	return 0;
}

struct blockz_source planned_source(const struct planned_file *planned)
{
	static const struct blockz_source_ops ops = { .read = read_planned };
	return (struct blockz_source){ &ops, (void *)(uintptr_t)planned, planned->size };
}
