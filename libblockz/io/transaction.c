/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How an edit in place survives a crash.
 *
 * Bytes are overwritten, and a power failure may come between any two of them; worse, what was written since the last
 * sync may reach the disk in any order, or in part.  So the old content of each 512-byte sector that will change goes to
 * a journal first, and three barriers order what matters:
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
 * new bytes.
 *
 * A journal is only believed where it fits: the file's size, the digest of its ends outside the changed sectors, and
 * either its inode and birth time, or in a copy each sector's digest, old or new.  Twenty variants of one image are
 * alike in size and in every byte that no edit touched, and the journal of one must never be written into another.
 */
#include "io/transaction.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "io/access.h"
#include "io/intent.h"
#include "io/journal.h"

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
	uint8_t old[REGION_MAX], new[REGION_MAX];
	uint8_t write[TRANSACTION_WRITE_MAX];
};

/* The new content of a region, from its old one. */
static enum blockz_status overlay(const struct regions *regions, struct scratch *scratch, struct blockz_fault *fault)
{
	const struct transaction *transaction = regions->transaction;
	memcpy(scratch->new, scratch->old, (size_t)(regions->end - regions->start));
	for (uint64_t i = regions->index; i < transaction->count; i++) {
		struct transaction_write write = transaction->at(transaction->ctx, i);
		if (write.file_off >= regions->end)
			break;
		enum blockz_status status = transaction->fetch(transaction->ctx, i, scratch->write, fault);
		if (status != BLOCKZ_OK)
			return status;
		uint64_t write_end = write.file_off + write.length;
		uint64_t start = write.file_off > regions->start ? write.file_off : regions->start;
		uint64_t end = write_end < regions->end ? write_end : regions->end;
		memcpy(scratch->new + (start - regions->start), scratch->write + (start - write.file_off),
		       (size_t)(end - start));
	}
	return BLOCKZ_OK;
}

static enum blockz_status journal_region(const struct regions *regions, const struct blockz_store *store,
					 struct journal_writer *writer, struct scratch *scratch,
					 struct blockz_fault *fault)
{
	size_t len = (size_t)(regions->end - regions->start), got = 0;
	int error = store->ops->read(store->ctx, scratch->old, len, regions->start, &got);
	if (error != 0 || got < len)
		return fault_errno(fault, error != 0 ? error : EIO, regions->start + got, "read");
	enum blockz_status status = overlay(regions, scratch, fault);
	for (size_t pos = 0; pos < len && status == BLOCKZ_OK; pos += JOURNAL_SECTOR) {
		uint64_t off = regions->start + pos;
		size_t sector = journal_sector_len(off, store->size);
		/* Only the file's last sector can be short. */
		uint8_t content[JOURNAL_SECTOR] = { 0 };
		memcpy(content, scratch->old + pos, sector);
		struct journal_record record = {
			.file_off = off, .content = content,
			.old_digest = journal_digest(scratch->old + pos, sector),
			.new_digest = journal_digest(scratch->new + pos, sector),
		};
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
	struct journal_header header = { .file_size = store->size, .identity = store->identity };
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

/* ---- Undoing ---- */

static enum blockz_status undo_sector(void *ctx, const struct journal_record *record, struct blockz_fault *fault)
{
	const struct blockz_store *store = ctx;
	size_t len = journal_sector_len(record->file_off, store->size);
	int error = store->ops->write(store->ctx, record->content, len, record->file_off);
	return error == 0 ? BLOCKZ_OK : fault_errno(fault, error, record->file_off, "writing old content back");
}

static enum blockz_status rewrite(const struct blockz_store *store, uint64_t len, journal_visit visit,
				  struct blockz_fault *fault)
{
	struct journal_header header;
	enum blockz_status status = journal_read(store, len, &header, visit, (void *)(uintptr_t)store, fault);
	return status == BLOCKZ_OK ? sync_store(store, fault) : status;
}

/* Step R: *fault says why, and gets the state that is left. */
static enum blockz_status roll_back(const struct blockz_store *store, enum blockz_status status,
				    struct blockz_fault *fault)
{
	uint64_t len = 0;
	struct blockz_fault left = { .state = BLOCKZ_IMAGE_ROLLED_BACK };
	if (store->ops->journal_find(store->ctx, &len) != 0 || rewrite(store, len, undo_sector, NULL) != BLOCKZ_OK)
		return fault_state(fault, status, BLOCKZ_IMAGE_NEEDS_RECOVERY);
	journal_drop(store, left.state, &left);
	return fault_state(fault, status, left.state);
}

/* ---- The transaction ---- */

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
	if (status == BLOCKZ_OK)
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
	if (status == BLOCKZ_OK)
		status = sync_store(store, fault);
	return status == BLOCKZ_OK ? BLOCKZ_OK : fault_state(fault, status, BLOCKZ_IMAGE_TORN);
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

/* ---- Recovery ---- */

/* What the sectors of the file are, by the digests of its journal. */
struct survey {
	const struct blockz_store *store;
	struct journal_ends ends;
	bool all_new, all_known;
};

static enum blockz_status survey_sector(void *ctx, const struct journal_record *record, struct blockz_fault *fault)
{
	struct survey *survey = ctx;
	uint8_t sector[JOURNAL_SECTOR];
	size_t len = journal_sector_len(record->file_off, survey->store->size), got = 0;
	int error = survey->store->ops->read(survey->store->ctx, sector, len, record->file_off, &got);
	if (error != 0 || got < len)
		return fault_errno(fault, error != 0 ? error : EIO, record->file_off, "read");
	uint64_t digest = journal_digest(sector, len);
	if (digest != record->new_digest)
		survey->all_new = false;
	if (digest != record->new_digest && digest != record->old_digest)
		survey->all_known = false;
	journal_ends_blank(&survey->ends, record->file_off, record->file_off + len);
	return BLOCKZ_OK;
}

/*
 * Sectors found new are written once more before the journal goes: after a failed sync they may be new in memory only, and
 * a sync of pages that the kernel holds for clean does nothing.
 */
static enum blockz_status renew_sector(void *ctx, const struct journal_record *record, struct blockz_fault *fault)
{
	const struct blockz_store *store = ctx;
	uint8_t sector[JOURNAL_SECTOR];
	size_t len = journal_sector_len(record->file_off, store->size), got = 0;
	int error = store->ops->read(store->ctx, sector, len, record->file_off, &got);
	if (error == 0)
		error = got < len || journal_digest(sector, len) != record->new_digest
				? EIO
				: store->ops->write(store->ctx, sector, len, record->file_off);
	return error == 0 ? BLOCKZ_OK : fault_errno(fault, error, record->file_off, "writing new content again");
}

/* Finds out, without writing, whether the journal is this file's, and what is left to do. */
static enum blockz_status survey_file(struct survey *survey, uint64_t len, struct blockz_fault *fault)
{
	struct journal_header header;
	enum blockz_status status = journal_ends_read(&survey->ends, survey->store, fault);
	if (status == BLOCKZ_OK)
		status = journal_read(survey->store, len, &header, survey_sector, survey, fault);
	if (status != BLOCKZ_OK)
		return status;
	if (journal_ends_digest(&survey->ends) != header.ends ||
	    (!survey->all_known && !journal_is_of(&header, survey->store)))
		return fault_set(fault, BLOCKZ_NEEDS_RECOVERY, BLOCKZ_UNKNOWN,
				 "the journal beside this file belongs to another one, or the file was changed since: who "
				 "wants the file as it is removes the journal; nothing was touched");
	return BLOCKZ_OK;
}

static enum blockz_status settle(const struct survey *survey, uint64_t len, enum blockz_recovery *recovery,
				 struct blockz_fault *fault)
{
	*recovery = survey->all_new ? BLOCKZ_RECOVERY_FINISHED : BLOCKZ_RECOVERY_UNDONE;
	enum blockz_state state = survey->all_new ? BLOCKZ_IMAGE_UPDATED : BLOCKZ_IMAGE_ROLLED_BACK;
	enum blockz_status status =
		rewrite(survey->store, len, survey->all_new ? renew_sector : undo_sector, fault);
	if (status != BLOCKZ_OK)
		return fault_state(fault, status, BLOCKZ_IMAGE_NEEDS_RECOVERY);
	return journal_drop(survey->store, state, fault);
}

static enum blockz_status recover_patch(const struct blockz_store *store, uint64_t len,
					enum blockz_recovery *recovery, struct blockz_fault *fault)
{
	struct survey *survey = calloc(1, sizeof(*survey));
	if (survey == NULL)
		return fault_state(fault, fault_nomem(fault), BLOCKZ_IMAGE_NEEDS_RECOVERY);
	*survey = (struct survey){ .store = store, .all_new = true, .all_known = true };
	enum blockz_status status = survey_file(survey, len, fault);
	if (status != BLOCKZ_OK)
		fault_state(fault, status, BLOCKZ_IMAGE_NEEDS_RECOVERY);
	else
		status = settle(survey, len, recovery, fault);
	free(survey);
	return status;
}

enum blockz_status transaction_recover(const struct blockz_store *store, enum blockz_recovery *recovery_ret,
				       struct blockz_fault *fault)
{
	uint64_t len = 0;
	enum blockz_recovery recovery = BLOCKZ_RECOVERY_NONE;
	int error = store->ops->journal_find == NULL ? ENOENT : store->ops->journal_find(store->ctx, &len);
	if (error == ENOENT) {
		*recovery_ret = recovery;
		return BLOCKZ_OK;
	}
	if (error == EPERM) {
		fault_set(fault, BLOCKZ_NEEDS_RECOVERY, BLOCKZ_UNKNOWN,
			  "the journal is not a regular file of the image's owner, root, or you; nothing was touched");
		return fault_state(fault, BLOCKZ_NEEDS_RECOVERY, BLOCKZ_IMAGE_NEEDS_RECOVERY);
	}
	if (error != 0) {
		fault_errno(fault, error, BLOCKZ_UNKNOWN, "opening the journal");
		return fault_state(fault, BLOCKZ_FAILED, BLOCKZ_IMAGE_NEEDS_RECOVERY);
	}
	enum journal_kind kind;
	struct journal_header header;
	enum blockz_status status = journal_read_header(store, len, &kind, &header, fault);
	if (status != BLOCKZ_OK)
		return fault_state(fault, status, BLOCKZ_IMAGE_NEEDS_RECOVERY);
	status = kind == JOURNAL_INTENT ? intent_recover(store, len, &recovery, fault)
					: recover_patch(store, len, &recovery, fault);
	if (status == BLOCKZ_OK)
		*recovery_ret = recovery;
	return status;
}
