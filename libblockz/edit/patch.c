/* SPDX-License-Identifier: BSD-3-Clause */
/* Carrying a plan out: on the file itself as one transaction, or on a copy. */
#include <errno.h>
#include <string.h>

#include "base/buffer.h"
#include "base/export.h"
#include "base/fault.h"
#include "check/crc.h"
#include "io/access.h"
#include "journal/recovery.h"
#include "journal/transaction.h"
#include "edit/patch.h"

enum {
	COPY_PART = 1 << 20,
	UNREAD_MIN = 64 << 10, /* what is shorter is not worth a call of its own */
};

static struct transaction_write write_at(void *ctx, uint64_t index)
{
	const struct blockz_plan *plan = ctx;
	const struct plan_write *write = &plan->writes[index];
	return (struct transaction_write){ write->file_off, write->length };
}

enum blockz_status patch_read_new(const struct blockz_plan *plan, const struct plan_write *write, uint64_t at, void *buf,
				  size_t len, struct blockz_fault *fault)
{
	if (write->edit == PLAN_CHECK) {
		memcpy(buf, plan->fields + write->bytes_off + at, len);
		return BLOCKZ_OK;
	}
	if (write->edit >= PLAN_EDITS_MAX) {
		size_t got = 0;
		int error = plan->scratch->ops->read(plan->scratch->ctx, buf, len, write->bytes_off + at, &got);
		return error == 0 && got == len ? BLOCKZ_OK
						: fault_errno(fault, error != 0 ? error : EIO, BLOCKZ_UNKNOWN,
							      "reading what was encoded again from a temporary file");
	}
	const struct blockz_edit *edit = &plan->edits[write->edit];
	return read_data(&edit->data, buf, len, edit->data_off + (write->image_off - edit->range.start) + at, BLOCKZ_ABOUT_EDIT,
			 fault);
}

enum blockz_status patch_check_new(const struct plan_write *write, uint32_t crc, struct blockz_fault *fault)
{
	if (write->edit == PLAN_CHECK || crc == write->value)
		return BLOCKZ_OK;
	fault_set(fault, BLOCKZ_FAILED, BLOCKZ_UNKNOWN, "new data changed while it was being read");
	return fault_about(fault, BLOCKZ_FAILED, BLOCKZ_ABOUT_EDIT);
}

static enum blockz_status fetch_write(void *ctx, uint64_t index, void *buf, struct blockz_fault *fault)
{
	const struct blockz_plan *plan = ctx;
	const struct plan_write *write = &plan->writes[index];
	enum blockz_status status = patch_read_new(plan, write, 0, buf, write->length, fault);
	return status == BLOCKZ_OK ? patch_check_new(write, crc32_update(0, buf, write->length), fault) : status;
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
	if (plan->is_splice)
		return fault_set(fault, BLOCKZ_USAGE, BLOCKZ_UNKNOWN, "the plan is of a new file");
	const struct transaction transaction = transaction_of(plan);
	return transaction_run(&transaction, store, fault);
}

EXPORT enum blockz_status blockz_recover(const struct blockz_store *store, enum blockz_remedy remedy,
					 enum blockz_recovery *recovery_ret, struct blockz_fault *fault)
{
	return recovery_run(store, remedy, recovery_ret, fault);
}

/* ---- A copy ---- */

/* Bytes on their way to the sink, which gets few and long parts. */
struct copy {
	const struct blockz_plan *plan;
	const struct blockz_source *file;
	const struct blockz_sink *sink;
	struct buffer buffer;
	size_t len;
	struct blockz_fault *fault;
};

static enum blockz_status flush(struct copy *copy)
{
	size_t len = copy->len;
	copy->len = 0;
	return len > 0 ? write_out(copy->sink, copy->buffer.bytes, len, copy->fault) : BLOCKZ_OK;
}

/* Room for some of `left` bytes; returns how many. */
static enum blockz_status make_room(struct copy *copy, uint64_t left, uint8_t **bytes_ret, size_t *len_ret)
{
	enum blockz_status status = copy->len == COPY_PART ? flush(copy) : BLOCKZ_OK;
	size_t room = COPY_PART - copy->len;
	*len_ret = left < room ? (size_t)left : room;
	*bytes_ret = copy->buffer.bytes + copy->len;
	copy->len += *len_ret;
	return status;
}

/* Has the sink take long parts by itself; *start is behind what it took. */
static enum blockz_status copy_unread(struct copy *copy, uint64_t *start, uint64_t end)
{
	const struct blockz_sink *sink = copy->sink;
	if (sink->ops->copy == NULL || end - *start < UNREAD_MIN)
		return BLOCKZ_OK;
	enum blockz_status status = flush(copy);
	for (uint64_t done = 1; done > 0 && *start < end && status == BLOCKZ_OK; *start += done) {
		done = 0;
		int error = sink->ops->copy(sink->ctx, *start, end - *start, &done);
		status = error == 0 ? BLOCKZ_OK : write_failed(error, copy->fault);
	}
	return status;
}

static enum blockz_status copy_verbatim(struct copy *copy, uint64_t start, uint64_t end)
{
	enum blockz_status status = copy_unread(copy, &start, end);
	uint8_t *bytes;
	for (size_t len; start < end && status == BLOCKZ_OK; start += len) {
		status = make_room(copy, end - start, &bytes, &len);
		if (status == BLOCKZ_OK)
			status = read_file(copy->file, bytes, len, start, copy->fault);
	}
	return status;
}

static enum blockz_status copy_new(struct copy *copy, const struct plan_write *write)
{
	enum blockz_status status = BLOCKZ_OK;
	uint8_t *bytes;
	uint32_t crc = 0;
	size_t at = 0;
	for (size_t len; at < write->new_length && status == BLOCKZ_OK; at += len) {
		status = make_room(copy, write->new_length - at, &bytes, &len);
		if (status == BLOCKZ_OK)
			status = patch_read_new(copy->plan, write, at, bytes, len, copy->fault);
		if (status == BLOCKZ_OK)
			crc = crc32_update(crc, bytes, len);
	}
	return status == BLOCKZ_OK ? patch_check_new(write, crc, copy->fault) : status;
}

static enum blockz_status copy_all(struct copy *copy)
{
	const struct blockz_plan *plan = copy->plan;
	uint64_t pos = 0;
	for (size_t i = 0; i < plan->write_count; i++) {
		const struct plan_write *write = &plan->writes[i];
		enum blockz_status status = copy_verbatim(copy, pos, write->file_off);
		if (status == BLOCKZ_OK)
			status = copy_new(copy, write);
		if (status != BLOCKZ_OK)
			return status;
		pos = write->file_off + write->length;
	}
	enum blockz_status status = copy_verbatim(copy, pos, plan->file_size);
	return status == BLOCKZ_OK ? flush(copy) : status;
}

EXPORT enum blockz_status blockz_plan_copy(const struct blockz_plan *plan, const struct blockz_source *file,
					   const struct blockz_sink *sink, struct blockz_fault *fault)
{
	struct copy copy = { .plan = plan, .file = file, .sink = sink, .fault = fault };
	if (file->size != plan->file_size)
		return other_size(fault);
	if (!buffer_reserve(&copy.buffer, COPY_PART))
		return fault_nomem(fault);
	enum blockz_status status = copy_all(&copy);
	buffer_free(&copy.buffer);
	return status;
}

EXPORT enum blockz_status blockz_plan_copy_new(const struct blockz_plan *plan, size_t index, const struct blockz_sink *sink,
					       struct blockz_fault *fault)
{
	struct copy copy = { .plan = plan, .sink = sink, .fault = fault };
	if (index >= plan->write_count)
		return fault_set(fault, BLOCKZ_USAGE, BLOCKZ_UNKNOWN, "the plan has %zu writes", plan->write_count);
	if (!buffer_reserve(&copy.buffer, COPY_PART))
		return fault_nomem(fault);
	enum blockz_status status = copy_new(&copy, &plan->writes[index]);
	if (status == BLOCKZ_OK)
		status = flush(&copy);
	buffer_free(&copy.buffer);
	return status;
}
