/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How an edit in place survives a crash.
 *
 * Bytes are overwritten, and a power failure may come between any two of them; worse, what was written since the last
 * sync may reach the disk in any order, or in part.  So the old and the new content of each 512-byte sector that will
 * change go to a journal first, and three barriers order what matters:
 *
 *   1  the journal's content is durable before its name says that it is one        (A, B: journal_publish)
 *   2  the journal is durable before the first byte of the file is changed         (A, B)
 *   3  the file's new bytes are durable before the journal goes away               (C: sync)
 *
 * Worked example: one byte of sector 7 and four of sector 90 change, and the power fails after the write to sector 90 but
 * before that to 7 has reached the disk.  The journal is there, so the next program that wants to write finds it,
 * compares: sector 90 is new, 7 is old.  It writes the old content of both, syncs, and removes the journal: the file is
 * as before the edit.  Had both been new, the edit would have been complete, and only the journal would go.  Had the
 * failure come before barrier B, there would be no journal and no changed byte; after the removal, no journal and all
 * new bytes.  journal/recovery.c has the rule by which a journal is believed.
 */
#include "journal/transaction.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "io/access.h"
#include "journal/journal.h"
#include "journal/recovery.h"

enum { REGION_MAX = 1 << 20 };

/* ---- Regions: runs of sectors that all change ---- */

struct regions {
	const struct transaction *transaction;
	uint64_t file_size;
	uint64_t index; /* the first write that ends behind the last region */
	uint64_t pos;   /* end of the last region */
	uint64_t start, end;
};

static uint64_t round_down(uint64_t off)
{
	return off - off % JOURNAL_SECTOR;
}

/* The next region, of at most REGION_MAX bytes; false behind the last. */
static bool next_region(struct regions *regions)
{
	const struct transaction *transaction = regions->transaction;
	struct transaction_write write = { 0 };
	for (; regions->index < transaction->count; regions->index++) {
		write = transaction->at(transaction->ctx, regions->index);
		if (write.file_off + write.length > regions->pos)
			break;
	}
	if (regions->index == transaction->count)
		return false;
	uint64_t start = round_down(write.file_off), limit;
	regions->start = regions->end = start > regions->pos ? start : regions->pos;
	limit = regions->start + REGION_MAX;
	for (uint64_t i = regions->index; i < transaction->count && regions->end < limit; i++) {
		write = transaction->at(transaction->ctx, i);
		if (round_down(write.file_off) > regions->end)
			break;
		uint64_t end = round_down(write.file_off + write.length + JOURNAL_SECTOR - 1);
		end = end < regions->file_size ? end : regions->file_size;
		regions->end = end < limit ? end : limit;
	}
	regions->pos = regions->end;
	return true;
}

/* ---- Writing the journal ---- */

struct scratch {
	struct journal_ends ends;
	uint8_t old[REGION_MAX], new[REGION_MAX]; /* whole sectors */
	uint8_t write[TRANSACTION_WRITE_MAX];
};

/*
 * Puts what is written into a range over its bytes, which hold what stands there.  *next is the first write that ends
 * behind the range's start, and then the one that ends behind its end.  buf: room for one write.  Errors: of fetch.
 */
static enum blockz_status put_over(const struct transaction *transaction, struct blockz_range range, uint64_t *next,
				   uint8_t *bytes, void *buf, struct blockz_fault *fault)
{
	for (uint64_t i = *next; i < transaction->count; i++) {
		struct transaction_write write = transaction->at(transaction->ctx, i);
		uint64_t write_end = write.file_off + write.length;
		if (write.file_off >= range.end)
			break;
		enum blockz_status status = transaction->fetch(transaction->ctx, i, buf, fault);
		if (status != BLOCKZ_OK)
			return status;
		uint64_t start = write.file_off > range.start ? write.file_off : range.start;
		uint64_t end = write_end < range.end ? write_end : range.end;
		memcpy(bytes + (start - range.start), (const uint8_t *)buf + (start - write.file_off), (size_t)(end - start));
		if (write_end <= range.end)
			*next = i + 1;
	}
	return BLOCKZ_OK;
}

/* The new content of a region, from its old one. */
static enum blockz_status make_new(const struct regions *regions, struct scratch *scratch, struct blockz_fault *fault)
{
	const struct blockz_range region = { regions->start, regions->end };
	uint64_t next = regions->index;
	memcpy(scratch->new, scratch->old, (size_t)(region.end - region.start));
	return put_over(regions->transaction, region, &next, scratch->new, scratch->write, fault);
}

static enum blockz_status journal_region(const struct regions *regions, const struct blockz_store *store,
					 struct journal_writer *writer, struct scratch *scratch,
					 struct blockz_fault *fault)
{
	size_t len = (size_t)(regions->end - regions->start), got = 0;
	int error = store->ops->read(store->ctx, scratch->old, len, regions->start, &got);
	if (error != 0 || got < len)
		return fault_errno(fault, error != 0 ? error : EIO, regions->start + got, "read");
	enum blockz_status status = make_new(regions, scratch, fault);
	for (size_t pos = 0; pos < len && status == BLOCKZ_OK; pos += JOURNAL_SECTOR) {
		uint64_t off = regions->start + pos;
		size_t sector = journal_sector_len(off, store->size);
		/* Only the file's last sector can be short. */
		memset(scratch->old + pos + sector, 0, JOURNAL_SECTOR - sector);
		memset(scratch->new + pos + sector, 0, JOURNAL_SECTOR - sector);
		struct journal_record record = { .file_off = off, .old = scratch->old + pos, .new = scratch->new + pos };
		status = journal_put(writer, &record, fault);
	}
	return status;
}

static enum blockz_status write_records(const struct transaction *transaction, const struct blockz_store *store,
					const struct journal_header *header, struct scratch *scratch,
					struct blockz_fault *fault)
{
	struct journal_writer *writer = NULL;
	struct regions regions = { .transaction = transaction, .file_size = store->size };
	enum blockz_status status = journal_writer_new(store, header, &writer, fault);
	while (status == BLOCKZ_OK && next_region(&regions))
		status = journal_region(&regions, store, writer, scratch, fault);
	if (status == BLOCKZ_OK)
		status = journal_finish(writer, fault);
	journal_writer_free(writer);
	return status;
}

/* Steps 5 to 8.  Where it fails, nothing is left of the journal, or a whole one of an edit that has not begun. */
static enum blockz_status make_journal(const struct transaction *transaction, const struct blockz_store *store,
				       struct scratch *scratch, struct blockz_fault *fault)
{
	struct journal_header header = {
		.file_size = store->size, .identity = store->identity, .unchecked = transaction->unchecked,
	};
	struct regions regions = { .transaction = transaction, .file_size = store->size };
	enum blockz_status status = journal_ends_read(&scratch->ends, store, fault);
	if (status != BLOCKZ_OK)
		return status;
	while (next_region(&regions)) {
		header.count += (regions.end - regions.start + JOURNAL_SECTOR - 1) / JOURNAL_SECTOR;
		journal_ends_blank(&scratch->ends, regions.start, regions.end);
	}
	header.ends = journal_ends_digest(&scratch->ends);
	int error = store->ops->journal_create(store->ctx, journal_len(header.count));
	if (error != 0)
		status = fault_errno(fault, error, BLOCKZ_UNKNOWN, "creating the journal");
	if (status == BLOCKZ_OK)
		status = write_records(transaction, store, &header, scratch, fault);
	if (status == BLOCKZ_OK) {
		error = store->ops->journal_publish(store->ctx);
		if (error != 0)
			status = fault_errno(fault, error, BLOCKZ_UNKNOWN, "making the journal durable");
	}
	if (status != BLOCKZ_OK && store->ops->journal_discard(store->ctx) != 0)
		return fault_state(fault, status, BLOCKZ_IMAGE_NEEDS_RECOVERY);
	return status;
}

/* ---- The transaction ---- */

/* Step R: *fault says why, and gets the state that is left. */
static enum blockz_status roll_back(const struct blockz_store *store, enum blockz_status status,
				    struct blockz_fault *fault)
{
	uint64_t len = 0;
	struct blockz_fault left = { .state = BLOCKZ_IMAGE_ROLLED_BACK };
	if (store->ops->journal_find(store->ctx, &len) != 0 || recovery_undo(store, len, NULL) != BLOCKZ_OK)
		return fault_state(fault, status, BLOCKZ_IMAGE_NEEDS_RECOVERY);
	journal_drop(store, left.state, &left);
	return fault_state(fault, status, left.state);
}

/* Step 9. */
static enum blockz_status write_new(const struct transaction *transaction, const struct blockz_store *store,
				    uint8_t *buffer, struct blockz_fault *fault)
{
	for (uint64_t i = 0; i < transaction->count; i++) {
		struct transaction_write write = transaction->at(transaction->ctx, i);
		enum blockz_status status = transaction->fetch(transaction->ctx, i, buffer, fault);
		if (status != BLOCKZ_OK)
			return status;
		int error = store->ops->write(store->ctx, buffer, (size_t)write.length, write.file_off);
		if (error != 0)
			return fault_errno(fault, error, write.file_off, "write");
	}
	return BLOCKZ_OK;
}

static enum blockz_status run_journalled(const struct transaction *transaction, const struct blockz_store *store,
					 struct scratch *scratch, struct blockz_fault *fault)
{
	enum blockz_status status = journal_refuse(store, fault);
	if (status != BLOCKZ_OK)
		return status;
	status = make_journal(transaction, store, scratch, fault);
	if (status != BLOCKZ_OK)
		return status;
	status = write_new(transaction, store, scratch->write, fault);
	if (status != BLOCKZ_OK)
		return roll_back(store, status, fault);
	status = sync_store(store, fault);
	if (status != BLOCKZ_OK) /* what is on the disk is unknown, and a second sync would not tell */
		return fault_state(fault, status, BLOCKZ_IMAGE_NEEDS_RECOVERY);
	return journal_drop(store, BLOCKZ_IMAGE_UPDATED, fault);
}

/* Nothing can be undone here, so all that can fail before the first byte is written has to fail there. */
static enum blockz_status run_plain(const struct transaction *transaction, const struct blockz_store *store,
				    struct scratch *scratch, struct blockz_fault *fault)
{
	enum blockz_status status = BLOCKZ_OK;
	for (uint64_t i = 0; i < transaction->count && status == BLOCKZ_OK; i++)
		status = transaction->fetch(transaction->ctx, i, scratch->write, fault);
	if (status != BLOCKZ_OK)
		return status;
	status = write_new(transaction, store, scratch->write, fault);
	return fault_state(fault, status == BLOCKZ_OK ? sync_store(store, fault) : status, BLOCKZ_IMAGE_TORN);
}

enum blockz_status transaction_run(const struct transaction *transaction, const struct blockz_store *store,
				   struct blockz_fault *fault)
{
	if (transaction->count == 0)
		return BLOCKZ_OK;
	struct scratch *scratch = malloc(sizeof(*scratch));
	if (scratch == NULL)
		return fault_nomem(fault);
	enum blockz_status status = store->ops->journal_create != NULL
					    ? run_journalled(transaction, store, scratch, fault)
					    : run_plain(transaction, store, scratch, fault);
	free(scratch);
	return status;
}
