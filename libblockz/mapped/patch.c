/* SPDX-License-Identifier: BSD-3-Clause */
/* Carrying a plan out: on the file itself as one transaction, or on a copy. */
#include <string.h>

#include "base/buffer.h"
#include "base/export.h"
#include "base/fault.h"
#include "check/crc.h"
#include "io/access.h"
#include "journal/recovery.h"
#include "journal/transaction.h"
#include "range/plan.h"

enum { COPY_PART = 1 << 20 };

static struct transaction_write write_at(void *ctx, uint64_t index)
{
	const struct blockz_plan *plan = ctx;
	const struct plan_write *write = &plan->writes[index];
	return (struct transaction_write){ write->file_off, write->length };
}

/* New payload comes from the edit's source once more; it has to be what the checks were computed for. */
static enum blockz_status fetch_write(void *ctx, uint64_t index, void *buf, struct blockz_fault *fault)
{
	const struct blockz_plan *plan = ctx;
	const struct plan_write *write = &plan->writes[index];
	if (write->edit == PLAN_CHECK) {
		memcpy(buf, plan->fields + write->image_off, write->length);
		return BLOCKZ_OK;
	}
	const struct blockz_edit *edit = &plan->edits[write->edit];
	enum blockz_status status =
		read_data(&edit->data, buf, write->length, edit->data_off + (write->image_off - edit->range.start),
			  BLOCKZ_ABOUT_EDIT, fault);
	if (status == BLOCKZ_OK && crc32_update(0, buf, write->length) != write->value)
		status = fault_set(fault, BLOCKZ_FAILED, BLOCKZ_UNKNOWN, "new data changed while it was being read");
	return fault_about(fault, status, BLOCKZ_ABOUT_EDIT);
}

static struct transaction transaction_of(const struct blockz_plan *plan)
{
	return (struct transaction){
		.ctx = (void *)(uintptr_t)plan, .count = plan->write_count, .unchecked = plan->unchecked > 0,
		.at = write_at, .fetch = fetch_write,
	};
}

static enum blockz_status other_size(struct blockz_fault *fault)
{
	return fault_set(fault, BLOCKZ_USAGE, BLOCKZ_UNKNOWN, "the plan was made for a file of another size");
}

EXPORT enum blockz_status blockz_plan_apply(const struct blockz_plan *plan, const struct blockz_store *store,
					    struct blockz_fault *fault)
{
	if (store->size != plan->file_size)
		return other_size(fault);
	const struct transaction transaction = transaction_of(plan);
	return transaction_run(&transaction, store, fault);
}

EXPORT enum blockz_status blockz_recover(const struct blockz_store *store, enum blockz_remedy remedy,
					 enum blockz_recovery *recovery_ret, struct blockz_fault *fault)
{
	return recovery_run(store, remedy, recovery_ret, fault);
}

EXPORT enum blockz_status blockz_plan_copy(const struct blockz_plan *plan, const struct blockz_source *file,
					   const struct blockz_sink *sink, struct blockz_fault *fault)
{
	const struct transaction transaction = transaction_of(plan);
	struct buffer buffer = { 0 }; /* a part, and a write behind it */
	if (file->size != plan->file_size)
		return other_size(fault);
	enum blockz_status status = buffer_reserve(&buffer, COPY_PART + TRANSACTION_WRITE_MAX) ? BLOCKZ_OK : fault_nomem(fault);
	uint64_t next = 0;
	for (uint64_t pos = 0; pos < plan->file_size && status == BLOCKZ_OK;) {
		uint64_t left = plan->file_size - pos;
		size_t len = left < COPY_PART ? (size_t)left : COPY_PART;
		const struct blockz_range part = { pos, pos + len };
		status = read_file(file, buffer.bytes, len, pos, fault);
		if (status == BLOCKZ_OK)
			status = transaction_put_over(&transaction, part, &next, buffer.bytes, buffer.bytes + COPY_PART, fault);
		if (status == BLOCKZ_OK)
			status = write_out(sink, buffer.bytes, len, fault);
		pos += len;
	}
	buffer_free(&buffer);
	return status;
}
