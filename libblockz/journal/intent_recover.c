/* SPDX-License-Identifier: BSD-3-Clause */
/* Reading intent journals, which may be anything, and recovery by them. */
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/array.h"
#include "base/bytes.h"
#include "base/fault.h"
#include "io/access.h"
#include "journal/intent_layout.h"

enum { READ_RECORDS = 16384 };

struct recovery {
	const struct blockz_store *store;
	uint64_t len; /* of the journal */
	const struct journal_header *header;
	struct intent intent;
	struct intent_unit *units;
	size_t unit_count;
	uint64_t units_len; /* of all of them */
	bool foreign;       /* another file's */
	struct blockz_fault *fault;
};

/* ---- The head ---- */

static bool known_method(uint64_t method)
{
	return method > CHECK_NONE && method <= CHECK_XXH64_LOW32;
}

static bool load_check(const uint8_t *p, uint64_t file_size, struct intent_check *check)
{
	uint64_t method = load_le32(p + 24), of_file = load_le32(p + 28);
	if (!known_method(method) || of_file > 1)
		return false;
	check->check = (struct check){
		load_le64(p), load_le64(p + 8), load_le64(p + 16), (enum check_method)method, of_file == 1,
	};
	memcpy(check->field, p + 32, CHECK_LEN_MAX);
	const struct check_facts *facts = &check_methods[method];
	return check->check.start < check->check.end && file_size >= facts->len &&
	       check->check.field_off <= file_size - facts->len &&
	       (!of_file || (check->check.end <= file_size && facts->poly != NULL));
}

static enum blockz_status load_checks(struct recovery *self, const uint8_t *p)
{
	struct intent *intent = &self->intent;
	bool of_file = false;
	for (uint64_t i = 0; i < intent->check_count; i++) {
		struct intent_check *check = &intent->checks[i];
		if (!load_check(p + i * INTENT_CHECK_LEN, self->store->size, check) || (of_file && !check->check.of_file))
			return journal_damaged(self->fault, "a check does not lie in the file, or is of no known kind");
		of_file = check->check.of_file;
	}
	return BLOCKZ_OK;
}

static enum blockz_status load_head(struct recovery *self, const uint8_t *p, size_t len)
{
	struct intent *intent = &self->intent;
	intent->sum = XXH64(p, len, 0);
	if (load_le64(p + len) != intent->sum)
		return journal_damaged(self->fault, "its checksum does not match");
	intent->checks = calloc((size_t)intent->check_count + 1, sizeof(*intent->checks));
	intent->blanks = calloc((size_t)intent->blank_count + 1, sizeof(*intent->blanks));
	if (intent->checks == NULL || intent->blanks == NULL)
		return fault_nomem(self->fault);
	p += INTENT_HEADER_LEN;
	for (uint64_t i = 0; i < intent->blank_count; i++, p += INTENT_BLANK_LEN)
		intent->blanks[i] = (struct blockz_range){ load_le64(p), load_le64(p + 8) };
	return load_checks(self, p);
}

static enum blockz_status read_head(struct recovery *self)
{
	struct intent *intent = &self->intent;
	uint8_t counts[INTENT_HEADER_LEN];
	enum blockz_status status = journal_read_part(self->store, counts, sizeof(counts), 0, self->fault);
	if (status != BLOCKZ_OK)
		return status;
	intent->check_count = self->header->count;
	intent->ends = self->header->ends;
	intent->blank_count = load_le64(counts + INTENT_BLANKS_OFF);
	intent->room = load_le64(counts + INTENT_ROOM_OFF);
	if (intent->check_count > MAP_ITEMS_MAX || intent->blank_count > INTENT_BLANKS_MAX ||
	    intent->room > INTENT_RECORDS_MAX)
		return journal_damaged(self->fault, "more checks or records than a file can have");
	intent->records_off = intent_records_off(intent->blank_count, intent->check_count);
	if (self->len != intent->records_off + intent->room * INTENT_RECORD_LEN)
		return journal_damaged(self->fault, "its length does not fit its counts");
	size_t len = INTENT_HEADER_LEN + (size_t)intent->blank_count * INTENT_BLANK_LEN +
		     (size_t)intent->check_count * INTENT_CHECK_LEN;
	uint8_t *bytes = malloc(len + JOURNAL_SUM_LEN);
	if (bytes == NULL)
		return fault_nomem(self->fault);
	status = journal_read_part(self->store, bytes, len + JOURNAL_SUM_LEN, 0, self->fault);
	if (status == BLOCKZ_OK)
		status = load_head(self, bytes, len);
	free(bytes);
	return status;
}

/* ---- Records ---- */

/* A unit of 32 MiB with a header of 64 KiB for each byte is 2 TiB, so its length is no overflow. */
static bool span_lies_in_file(const struct span *span, uint64_t file_size)
{
	uint64_t len = span->end - span->start, headers = 0;
	if (span->start >= span->end || span->end > INT64_MAX || len > INTENT_UNIT_MAX ||
	    (span->stride != 0 && span->stride <= span->header_len))
		return false;
	if (span->stride != 0)
		headers = (span->end - 1) / span->stride - span->start / span->stride + 1;
	return span->file_off <= file_size && headers * span->header_len + len <= file_size - span->file_off;
}

static enum blockz_status add_unit(struct recovery *self, const uint8_t *p)
{
	struct intent_unit unit = {
		.span = { load_le64(p), load_le64(p + 8), load_le64(p + 16), load_le32(p + 24), load_le16(p + 28), true },
		.old = load_le64(p + 32),
	};
	uint64_t method = load_le16(p + 30);
	if (!known_method(method) || !span_lies_in_file(&unit.span, self->store->size))
		return journal_damaged(self->fault, "a record does not lie in the file, or is of no known kind");
	unit.method = (enum check_method)method;
	/* No two are of the same bytes of the file, so all of them are no longer than that, and neither is the work. */
	self->units_len += unit.span.end - unit.span.start;
	if (self->units_len > self->store->size)
		return journal_damaged(self->fault, "records of more bytes than the file has");
	struct intent_unit *room = array_room(self->units, self->unit_count, sizeof(*room));
	if (room == NULL)
		return fault_nomem(self->fault);
	self->units = room;
	self->units[self->unit_count++] = unit;
	return BLOCKZ_OK;
}

/* *lost is the index of the first record that is missing; behind it there are only those appended with it. */
static enum blockz_status add_records(struct recovery *self, const uint8_t *bytes, uint64_t index, uint64_t count,
				      uint64_t *lost)
{
	enum blockz_status status = BLOCKZ_OK;
	for (uint64_t i = 0; i < count && status == BLOCKZ_OK; i++) {
		const uint8_t *p = bytes + i * INTENT_RECORD_LEN;
		uint64_t first = load_le64(p + 40);
		if (load_le64(p + 56) != XXH64(p, 56, self->intent.sum))
			*lost = *lost < index + i ? *lost : index + i;
		else if (first > index + i || first > *lost)
			return journal_damaged(self->fault, "a record is missing among those that were durable");
		else
			status = add_unit(self, p);
	}
	return status;
}

static int compare_units(const void *a, const void *b)
{
	const struct intent_unit *ua = a, *ub = b;
	return (ua->span.start > ub->span.start) - (ua->span.start < ub->span.start);
}

static enum blockz_status read_records(struct recovery *self)
{
	uint64_t count = (self->len - self->intent.records_off) / INTENT_RECORD_LEN, lost = UINT64_MAX;
	uint8_t *bytes = malloc((size_t)READ_RECORDS * INTENT_RECORD_LEN);
	enum blockz_status status = bytes == NULL ? fault_nomem(self->fault) : BLOCKZ_OK;
	for (uint64_t index = 0, part; index < count && status == BLOCKZ_OK; index += part) {
		part = count - index < READ_RECORDS ? count - index : READ_RECORDS;
		status = journal_read_part(self->store, bytes, (size_t)part * INTENT_RECORD_LEN,
					   self->intent.records_off + index * INTENT_RECORD_LEN, self->fault);
		if (status == BLOCKZ_OK)
			status = add_records(self, bytes, index, part, &lost);
	}
	free(bytes);
	if (status == BLOCKZ_OK && self->unit_count > 1)
		qsort(self->units, self->unit_count, sizeof(*self->units), compare_units);
	for (size_t i = 1; i < self->unit_count && status == BLOCKZ_OK; i++)
		if (self->units[i].span.start < self->units[i - 1].span.end)
			return journal_damaged(self->fault, "two records are of the same bytes");
	return status;
}

/* Checks that are not linear are made anew over one unit each, which must be all that they cover. */
static enum blockz_status match_units(struct recovery *self)
{
	size_t at = 0;
	uint64_t last = 0;
	for (uint64_t i = 0; i < self->intent.check_count && !self->intent.checks[i].check.of_file; i++) {
		const struct check *check = &self->intent.checks[i].check;
		if (check->start < last)
			return journal_damaged(self->fault, "checks are not in order");
		last = check->start;
		while (at < self->unit_count && self->units[at].span.end <= check->start)
			at++;
		if (at == self->unit_count || self->units[at].span.start >= check->end)
			continue;
		const struct intent_unit *unit = &self->units[at];
		if (unit->method != check->method ||
		    (check_methods[check->method].poly == NULL &&
		     (unit->span.start != check->start || unit->span.end != check->end)))
			return journal_damaged(self->fault, "a record and the check over it do not agree");
	}
	return BLOCKZ_OK;
}

/* ---- Recovery ---- */

/*
 * Each field is as the last commit left it, or as it would become: fields are written when what they cover is durable.
 * Else this is another file, which may have been copied over the one that the journal was made for.
 */
static enum blockz_status check_fields(struct recovery *self)
{
	const struct intent *intent = &self->intent;
	enum blockz_status status = intent_compute(&self->intent, self->store, self->units, self->unit_count, false,
						   self->fault);
	for (uint64_t i = 0; i < intent->check_count && status == BLOCKZ_OK; i++) {
		const struct intent_check *check = &intent->checks[i];
		size_t len = check_methods[check->check.method].len;
		uint8_t found[CHECK_LEN_MAX];
		struct blockz_source file = blockz_store_source(self->store);
		status = read_file(&file, found, len, check->check.field_off, self->fault);
		if (status == BLOCKZ_OK && !journal_is_mixture(found, check->field, check->now, len))
			self->foreign = true;
	}
	return status;
}

/* Finds out, without writing, whether the journal is whole and this file's. */
static enum blockz_status survey_journal(struct recovery *self)
{
	uint64_t ends = 0;
	enum blockz_status status = read_head(self);
	if (status != BLOCKZ_OK)
		return status;
	status = read_records(self);
	if (status != BLOCKZ_OK)
		return status;
	status = match_units(self);
	if (status != BLOCKZ_OK)
		return status;
	status = intent_ends(&self->intent, self->store, &ends, self->fault);
	if (status != BLOCKZ_OK)
		return status;
	self->foreign = ends != self->intent.ends;
	return self->foreign ? BLOCKZ_OK : check_fields(self);
}

/*
 * All that was written is written once more, and the fields even where they stand right: after a failed sync that may
 * be true in memory only, and a sync of pages that the kernel holds for clean does nothing.
 */
static enum blockz_status settle_file(struct recovery *self)
{
	enum blockz_status status = intent_compute(&self->intent, self->store, self->units, self->unit_count, true,
						   self->fault);
	if (status == BLOCKZ_OK)
		status = sync_store(self->store, self->fault);
	if (status == BLOCKZ_OK)
		status = intent_write(&self->intent, self->store, true, self->fault);
	if (status == BLOCKZ_OK)
		status = sync_store(self->store, self->fault);
	if (status != BLOCKZ_OK)
		return fault_state(self->fault, status, BLOCKZ_IMAGE_NEEDS_RECOVERY);
	return journal_drop(self->store, BLOCKZ_IMAGE_UPDATED, self->fault);
}

static void recovery_free(struct recovery *self)
{
	intent_free(&self->intent);
	free(self->units);
}

enum blockz_status intent_recover(const struct blockz_store *store, uint64_t len, const struct journal_header *header,
				  enum blockz_recovery *recovery_ret, struct blockz_fault *fault)
{
	struct recovery self = { .store = store, .len = len, .header = header, .fault = fault };
	enum blockz_status status = survey_journal(&self);
	if (status == BLOCKZ_OK && self.foreign)
		status = journal_damaged(fault, "belongs to another file, or this one was changed since");
	status = status == BLOCKZ_OK ? settle_file(&self) : fault_state(fault, status, BLOCKZ_IMAGE_NEEDS_RECOVERY);
	recovery_free(&self);
	if (status == BLOCKZ_OK)
		*recovery_ret = BLOCKZ_RECOVERY_FINISHED;
	return status;
}

enum blockz_status intent_look(const struct blockz_store *store, uint64_t len, const struct journal_header *header,
			       bool *foreign_ret, struct blockz_fault *fault)
{
	struct recovery self = { .store = store, .len = len, .header = header, .fault = fault };
	enum blockz_status status = survey_journal(&self);
	if (status == BLOCKZ_OK)
		*foreign_ret = self.foreign;
	recovery_free(&self);
	return status;
}
