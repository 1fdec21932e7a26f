/* SPDX-License-Identifier: BSD-3-Clause */
/* Writing intent journals, and what a commit computes by them. */
#include "journal/intent.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/bytes.h"
#include "base/fault.h"
#include "journal/intent_layout.h"
#include "range/plan.h"

enum { READ_MAX = 128 * 1024 };

void intent_free(struct intent *intent)
{
	free(intent->checks);
	free(intent->blanks);
	*intent = (struct intent){ 0 };
}

static enum blockz_status read_exactly(const struct blockz_store *store, void *buf, size_t len, uint64_t off,
				       struct blockz_fault *fault)
{
	size_t got = 0;
	int error = store->ops->read(store->ctx, buf, len, off, &got);
	return error == 0 && got == len ? BLOCKZ_OK : fault_errno(fault, error != 0 ? error : EIO, off + got, "read");
}

enum blockz_status intent_ends(const struct intent *intent, const struct blockz_store *store, uint64_t *ends_ret,
			       struct blockz_fault *fault)
{
	struct journal_ends *ends = malloc(sizeof(*ends));
	if (ends == NULL)
		return fault_nomem(fault);
	enum blockz_status status = journal_ends_read(ends, store, fault);
	for (uint64_t i = 0; i < intent->blank_count && status == BLOCKZ_OK; i++)
		journal_ends_blank(ends, intent->blanks[i].start, intent->blanks[i].end);
	for (uint64_t i = 0; i < intent->check_count && status == BLOCKZ_OK; i++) {
		const struct check *check = &intent->checks[i].check;
		journal_ends_blank(ends, check->field_off, check->field_off + check_methods[check->method].len);
	}
	if (status == BLOCKZ_OK)
		*ends_ret = journal_ends_digest(ends);
	free(ends);
	return status;
}

enum blockz_status intent_load(struct intent *intent, const struct blockz_store *store, struct blockz_fault *fault)
{
	enum blockz_status status = intent_ends(intent, store, &intent->ends, fault);
	for (uint64_t i = 0; i < intent->check_count && status == BLOCKZ_OK; i++) {
		struct intent_check *check = &intent->checks[i];
		status = read_exactly(store, check->field, check_methods[check->check.method].len,
				      check->check.field_off, fault);
	}
	return status;
}

/* ---- Writing ---- */

static void store_check(uint8_t *p, const struct intent_check *check)
{
	store_le64(p, check->check.start);
	store_le64(p + 8, check->check.end);
	store_le64(p + 16, check->check.field_off);
	store_le32(p + 24, check->check.method);
	store_le32(p + 28, check->check.of_file);
	memcpy(p + 32, check->field, CHECK_LEN_MAX);
}

static void store_record(uint8_t *p, const struct intent_unit *unit, uint64_t first, uint64_t seed)
{
	store_le64(p, unit->span.start);
	store_le64(p + 8, unit->span.end);
	store_le64(p + 16, unit->span.file_off);
	store_le32(p + 24, unit->span.stride);
	store_le16(p + 28, unit->span.header_len);
	store_le16(p + 30, (uint16_t)unit->method);
	store_le64(p + 32, unit->old);
	store_le64(p + 40, first);
	store_le64(p + 48, 0);
	store_le64(p + 56, XXH64(p, 56, seed));
}

static void store_records(const struct intent *intent, uint8_t *p, const struct intent_unit *units, size_t count)
{
	for (size_t i = 0; i < count; i++)
		store_record(p + i * INTENT_RECORD_LEN, &units[i], intent->records, intent->sum);
}

static void store_head(struct intent *intent, const struct blockz_store *store, uint8_t *p)
{
	const struct journal_header header = {
		.file_size = store->size, .identity = store->identity, .count = intent->check_count,
		.ends = intent->ends,
	};
	journal_header_store(p, JOURNAL_INTENT, &header);
	store_le64(p + INTENT_BLANKS_OFF, intent->blank_count);
	store_le64(p + INTENT_ROOM_OFF, intent->room);
	uint8_t *at = p + INTENT_HEADER_LEN;
	for (uint64_t i = 0; i < intent->blank_count; i++, at += INTENT_BLANK_LEN) {
		store_le64(at, intent->blanks[i].start);
		store_le64(at + 8, intent->blanks[i].end);
	}
	for (uint64_t i = 0; i < intent->check_count; i++, at += INTENT_CHECK_LEN)
		store_check(at, &intent->checks[i]);
	intent->sum = XXH64(p, (size_t)(at - p), 0);
	store_le64(at, intent->sum);
}

static enum blockz_status make(struct intent *intent, const struct blockz_store *store, const uint8_t *bytes,
			       size_t len, bool *harmless_ret, struct blockz_fault *fault)
{
	int error = store->ops->journal_create(store->ctx, intent->records_off + intent->room * INTENT_RECORD_LEN);
	*harmless_ret = true;
	if (error != 0) {
		fault_errno(fault, error, BLOCKZ_UNKNOWN, "creating the journal");
	} else {
		error = store->ops->journal_write(store->ctx, bytes, len, 0);
		if (error == 0) {
			/* A sync that has failed cannot be tried again. */
			*harmless_ret = false;
			error = store->ops->journal_publish(store->ctx);
		}
		if (error != 0)
			fault_errno(fault, error, BLOCKZ_UNKNOWN, "making the journal durable");
	}
	if (error == 0)
		return BLOCKZ_OK;
	bool gone = store->ops->journal_discard(store->ctx) == 0;
	*harmless_ret = *harmless_ret && gone;
	return fault_state(fault, BLOCKZ_FAILED, gone ? BLOCKZ_IMAGE_UNCHANGED : BLOCKZ_IMAGE_NEEDS_RECOVERY);
}

enum blockz_status intent_create(struct intent *intent, const struct blockz_store *store,
				 const struct intent_unit *units, size_t count, bool *harmless_ret,
				 struct blockz_fault *fault)
{
	intent->records = 0;
	intent->records_off = intent_records_off(intent->blank_count, intent->check_count);
	size_t len = (size_t)intent->records_off + count * INTENT_RECORD_LEN;
	uint8_t *bytes = calloc(1, len);
	*harmless_ret = true;
	if (bytes == NULL)
		return fault_nomem(fault);
	store_head(intent, store, bytes);
	store_records(intent, bytes + intent->records_off, units, count);
	enum blockz_status status = make(intent, store, bytes, len, harmless_ret, fault);
	if (status == BLOCKZ_OK)
		intent->records = count;
	free(bytes);
	return status;
}

enum blockz_status intent_append(struct intent *intent, const struct blockz_store *store,
				 const struct intent_unit *units, size_t count, struct blockz_fault *fault)
{
	size_t len = count * INTENT_RECORD_LEN;
	uint8_t *bytes = malloc(len);
	if (bytes == NULL)
		return fault_nomem(fault);
	store_records(intent, bytes, units, count);
	int error = store->ops->journal_write(store->ctx, bytes, len,
					      intent->records_off + intent->records * INTENT_RECORD_LEN);
	if (error == 0)
		error = store->ops->journal_sync(store->ctx);
	free(bytes);
	if (error != 0)
		return fault_errno(fault, error, BLOCKZ_UNKNOWN, "writing the journal");
	intent->records += count;
	return BLOCKZ_OK;
}

/* ---- Computing ---- */

struct computation {
	const struct blockz_store *store;
	const struct intent_unit *units;
	size_t count;
	struct blockz_plan *plan;            /* the units, and then the fields, as writes */
	uint8_t (*sums)[CHECK_LEN_MAX]; /* the check of each unit's bytes as they are now */
	uint8_t *buffer;
	bool renew;
	struct blockz_fault *fault;
};

/* Sums the bytes of a unit, and writes them again where that is asked for. */
static enum blockz_status sum_unit(struct computation *self, const struct intent_unit *unit, uint8_t *field)
{
	struct check_sum sum;
	enum blockz_status status = BLOCKZ_OK;
	if (!check_sum_start(&sum, unit->method))
		return fault_nomem(self->fault);
	for (uint64_t pos = unit->span.start; pos < unit->span.end && status == BLOCKZ_OK;) {
		struct blockz_extent extent = span_extent(&unit->span, pos);
		size_t len = extent.length < READ_MAX ? (size_t)extent.length : READ_MAX;
		status = read_exactly(self->store, self->buffer, len, extent.file_off, self->fault);
		if (status == BLOCKZ_OK)
			check_sum_update(&sum, self->buffer, len);
		if (status == BLOCKZ_OK && self->renew) {
			int error = self->store->ops->write(self->store->ctx, self->buffer, len, extent.file_off);
			if (error != 0)
				status = fault_errno(self->fault, error, extent.file_off, "writing content again");
		}
		pos += len;
	}
	check_sum_finish(&sum, field);
	return status;
}

static enum blockz_status sum_units(struct computation *self)
{
	enum blockz_status status = BLOCKZ_OK;
	for (size_t i = 0; i < self->count && status == BLOCKZ_OK; i++) {
		const struct intent_unit *unit = &self->units[i];
		status = sum_unit(self, unit, self->sums[i]);
		const struct plan_write write = {
			.file_off = unit->span.file_off, .image_off = unit->span.start,
			.length = (uint32_t)(unit->span.end - unit->span.start), .new_length = (uint32_t)(unit->span.end - unit->span.start),
			.delta = check_methods[unit->method].poly != NULL ? unit->old ^ check_value(unit->method, self->sums[i])
									  : 0,
		};
		if (status == BLOCKZ_OK)
			status = plan_add(self->plan, &write, self->fault);
	}
	return status;
}

/* The new field of one check: moved by the first count writes, or the sum of the one unit that it covers. */
static enum blockz_status compute_field(struct computation *self, struct intent_check *check, size_t count)
{
	const struct check_facts *facts = &check_methods[check->check.method];
	size_t first = plan_first(self->plan, count, check->check.of_file, check->check.start);
	memcpy(check->now, check->field, CHECK_LEN_MAX);
	check->covers = false;
	if (first == count)
		return BLOCKZ_OK;
	const struct plan_write *write = &self->plan->writes[first];
	if ((check->check.of_file ? write->file_off : write->image_off) >= check->check.end)
		return BLOCKZ_OK;
	check->covers = true;
	if (facts->poly != NULL) {
		uint64_t delta = plan_delta(self->plan, count, &check->check);
		for (size_t i = 0; i < facts->len; i++)
			check->now[i] ^= (uint8_t)(delta >> 8 * i);
	} else {
		memcpy(check->now, self->sums[first], CHECK_LEN_MAX);
	}
	return plan_add_field(self->plan, check->check.field_off, check->field, check->now, facts->len, self->fault);
}

static enum blockz_status compute(struct computation *self, struct intent *intent)
{
	enum blockz_status status = sum_units(self);
	uint64_t i = 0;
	for (; i < intent->check_count && !intent->checks[i].check.of_file && status == BLOCKZ_OK; i++)
		status = compute_field(self, &intent->checks[i], self->count);
	for (; i < intent->check_count && status == BLOCKZ_OK; i++) {
		plan_sort(self->plan);
		status = compute_field(self, &intent->checks[i], self->plan->write_count);
	}
	return status;
}

enum blockz_status intent_compute(struct intent *intent, const struct blockz_store *store,
				  const struct intent_unit *units, size_t count, bool renew, struct blockz_fault *fault)
{
	struct computation self = {
		.store = store, .units = units, .count = count, .renew = renew, .fault = fault,
		.plan = plan_new(store->size, NULL, 0),
		.sums = calloc(count + 1, sizeof(*self.sums)),
		.buffer = malloc(READ_MAX),
	};
	enum blockz_status status = self.plan == NULL || self.sums == NULL || self.buffer == NULL
					    ? fault_nomem(fault)
					    : compute(&self, intent);
	blockz_plan_free(self.plan);
	free(self.sums);
	free(self.buffer);
	return status;
}

enum blockz_status intent_write(const struct intent *intent, const struct blockz_store *store, bool all,
				struct blockz_fault *fault)
{
	for (uint64_t i = 0; i < intent->check_count; i++) {
		const struct intent_check *check = &intent->checks[i];
		size_t len = check_methods[check->check.method].len;
		if (!check->covers || (!all && memcmp(check->now, check->field, len) == 0))
			continue;
		int error = store->ops->write(store->ctx, check->now, len, check->check.field_off);
		if (error != 0)
			return fault_errno(fault, error, check->check.field_off, "writing a check");
	}
	return BLOCKZ_OK;
}

void intent_committed(struct intent *intent)
{
	for (uint64_t i = 0; i < intent->check_count; i++)
		memcpy(intent->checks[i].field, intent->checks[i].now, CHECK_LEN_MAX);
}
