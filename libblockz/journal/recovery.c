/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * By which rule a journal is believed.
 *
 * A journal lies beside a file and says what sectors of it held before an edit and were to hold after it.  That it lies
 * there proves little: a good file may have been copied over the one that it was made for, which keeps the inode, and
 * twenty variants of one image are alike in size and in every byte that no edit touched.  So the file's content decides:
 *
 *   - its size, and the first and last 64 KiB outside the journal's sectors, are as they were; else it is another file
 *   - a sector is known if each of its bytes is the old or the new one.  Any tear leaves such a sector, by a kill or a
 *     power failure, and another file has one by chance alone: checks over what was edited are among the sectors
 *
 * All sectors new: the edit had finished.  All known: the old content is written back.  One that is not known: nothing is
 * touched, whatever inode and birth time say, and whoever knows more says which of the two it shall be.  No new one
 * among those that are not known: another file's.
 *
 * Where the file has no check over some of the edited bytes, a variant with half of this very edit is as good as the
 * file that was torn in its middle.  So there, too, somebody has to say it, unless all sectors are old or all are new.
 *
 * Worked example: an edit changes a line in sector 7 and the file's CRC-32 in sector 90, and is killed between the two.
 * 7 is new, 90 is old: all known, and the old line is written back.  If somebody copies another variant over that file, 7
 * has the variant's line or the old one, and 90 the variant's CRC, which is neither the old nor the new one.
 *
 * Release 0.1.0 kept digests instead of the new content (version 1).  A sector torn in the middle is not known then; in
 * the file that the journal was made beside it is told from another file's by nobody but the user.
 */
#include "journal/recovery.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/fault.h"
#include "io/access.h"
#include "journal/intent.h"
#include "journal/journal.h"

enum { VERSION_OF_0_1_0 = 1 };

/* A journal that was found beside the file. */
struct found {
	int error; /* that of looking for it; ENOENT: there is none */
	uint64_t len;
	struct journal_header header;
};

/* ---- What the sectors of the file hold */

struct survey {
	const struct blockz_store *store;
	const struct journal_header *header;
	struct journal_ends ends;
	uint64_t counts[JOURNAL_SECTOR_UNKNOWN + 1];
	bool same_ends;
};

static enum blockz_status read_sector(const struct blockz_store *store, const struct journal_record *record,
				      uint8_t sector[JOURNAL_SECTOR], size_t *len_ret, struct blockz_fault *fault)
{
	size_t got = 0;
	*len_ret = journal_sector_len(record->file_off, store->size);
	int error = store->ops->read(store->ctx, sector, *len_ret, record->file_off, &got);
	if (error != 0 || got < *len_ret)
		return fault_errno(fault, error != 0 ? error : EIO, record->file_off, "read");
	return BLOCKZ_OK;
}

static enum blockz_status survey_sector(void *ctx, const struct journal_record *record, struct blockz_fault *fault)
{
	struct survey *survey = ctx;
	uint8_t sector[JOURNAL_SECTOR];
	size_t len;
	enum blockz_status status = read_sector(survey->store, record, sector, &len, fault);
	if (status != BLOCKZ_OK)
		return status;
	survey->counts[journal_compare(record, sector, len)]++;
	journal_ends_blank(&survey->ends, record->file_off, record->file_off + len);
	return BLOCKZ_OK;
}

/* Surveys the file by its journal; the survey is the caller's to free. */
static enum blockz_status survey_file(const struct blockz_store *store, const struct found *found,
				      struct survey **survey_ret, struct blockz_fault *fault)
{
	struct survey *survey = calloc(1, sizeof(*survey));
	if (survey == NULL)
		return fault_nomem(fault);
	survey->store = store;
	survey->header = &found->header;
	enum blockz_status status = journal_ends_read(&survey->ends, store, fault);
	if (status == BLOCKZ_OK)
		status = journal_read(store, found->len, survey->header, survey_sector, survey, fault);
	if (status != BLOCKZ_OK) {
		free(survey);
		return status;
	}
	survey->same_ends = journal_ends_digest(&survey->ends) == survey->header->ends;
	*survey_ret = survey;
	return BLOCKZ_OK;
}

/* ---- What follows from that */

enum verdict {
	VERDICT_FINISHED,
	VERDICT_UNDO,
	VERDICT_OTHER_FILE,
	VERDICT_UNKNOWN_SECTORS,
	VERDICT_UNCHECKED,   /* torn, in a file without checks over all that was edited */
	VERDICT_OLD_RELEASE, /* unknown sectors, and the journal is one of version 1 that was made beside this file */
};

static enum verdict decide_verdict(const struct survey *survey)
{
	uint64_t old = survey->counts[JOURNAL_SECTOR_OLD], new = survey->counts[JOURNAL_SECTOR_NEW];
	uint64_t mixed = survey->counts[JOURNAL_SECTOR_MIXED], unknown = survey->counts[JOURNAL_SECTOR_UNKNOWN];
	bool old_release = survey->header->version == VERSION_OF_0_1_0 && journal_is_of(survey->header, survey->store);
	if (!survey->same_ends)
		return VERDICT_OTHER_FILE;
	if (unknown > 0 && old_release)
		return VERDICT_OLD_RELEASE;
	if (unknown > 0)
		return new > 0 ? VERDICT_UNKNOWN_SECTORS : VERDICT_OTHER_FILE;
	if (old == 0 && mixed == 0)
		return VERDICT_FINISHED;
	return survey->header->unchecked && (new > 0 || mixed > 0) ? VERDICT_UNCHECKED : VERDICT_UNDO;
}

/* Says why nothing was touched, and which calls would do something. */
static enum blockz_status refuse_verdict(const struct survey *survey, enum verdict verdict, struct blockz_fault *fault)
{
	uint64_t unknown = survey->counts[JOURNAL_SECTOR_UNKNOWN];
	switch (verdict) {
	case VERDICT_UNCHECKED:
		fault_set(fault, BLOCKZ_NEEDS_RECOVERY, BLOCKZ_UNKNOWN,
			  "an edit was interrupted in its middle, or another variant was copied here since: no check in the "
			  "file tells which; nothing was touched");
		break;
	case VERDICT_OLD_RELEASE:
		fault_set(fault, BLOCKZ_NEEDS_RECOVERY, BLOCKZ_UNKNOWN,
			  "an edit by release 0.1.0 was interrupted, or another file was copied here since: in %" PRIu64
			  " places there is neither the old nor the new content; nothing was touched", unknown);
		break;
	case VERDICT_UNKNOWN_SECTORS:
		fault_set(fault, BLOCKZ_NEEDS_RECOVERY, BLOCKZ_UNKNOWN,
			  "the journal beside this file may be another one's: in %" PRIu64
			  " places there is neither the old nor the new content; nothing was touched", unknown);
		break;
	default:
		fault_set(fault, BLOCKZ_NEEDS_RECOVERY, BLOCKZ_UNKNOWN,
			  "the journal beside this file belongs to another one, or the file was changed since; nothing was "
			  "touched");
	}
	return fault_remedy(fault, survey->same_ends ? BLOCKZ_REMEDY_UNDO : BLOCKZ_REMEDY_DROP);
}

/* ---- Writing by the journal */

static enum blockz_status undo_sector(void *ctx, const struct journal_record *record, struct blockz_fault *fault)
{
	const struct blockz_store *store = ctx;
	size_t len = journal_sector_len(record->file_off, store->size);
	int error = store->ops->write(store->ctx, record->old, len, record->file_off);
	return error == 0 ? BLOCKZ_OK : fault_errno(fault, error, record->file_off, "writing old content back");
}

/*
 * Sectors found new are written once more before the journal goes: after a failed sync they may be new in memory only, and
 * a sync of pages that the kernel holds for clean does nothing.
 */
static enum blockz_status renew_sector(void *ctx, const struct journal_record *record, struct blockz_fault *fault)
{
	const struct blockz_store *store = ctx;
	uint8_t sector[JOURNAL_SECTOR];
	size_t len;
	enum blockz_status status = read_sector(store, record, sector, &len, fault);
	if (status != BLOCKZ_OK)
		return status;
	int error = store->ops->write(store->ctx, sector, len, record->file_off);
	return error == 0 ? BLOCKZ_OK : fault_errno(fault, error, record->file_off, "writing new content again");
}

static enum blockz_status rewrite_sectors(const struct blockz_store *store, uint64_t len, const struct journal_header *header,
					  journal_visit visit, struct blockz_fault *fault)
{
	enum blockz_status status = journal_read(store, len, header, visit, (void *)(uintptr_t)store, fault);
	return status == BLOCKZ_OK ? sync_store(store, fault) : status;
}

enum blockz_status recovery_undo(const struct blockz_store *store, uint64_t len, struct blockz_fault *fault)
{
	struct journal_header header;
	enum blockz_status status = journal_read_header(store, len, &header, fault);
	return status == BLOCKZ_OK ? rewrite_sectors(store, len, &header, undo_sector, fault) : status;
}

static enum blockz_status settle_file(const struct blockz_store *store, const struct found *found, bool finished,
				 enum blockz_recovery *recovery, struct blockz_fault *fault)
{
	enum blockz_state state = finished ? BLOCKZ_IMAGE_UPDATED : BLOCKZ_IMAGE_ROLLED_BACK;
	journal_visit visit = finished ? renew_sector : undo_sector;
	enum blockz_status status = rewrite_sectors(store, found->len, &found->header, visit, fault);
	*recovery = finished ? BLOCKZ_RECOVERY_FINISHED : BLOCKZ_RECOVERY_UNDONE;
	if (status != BLOCKZ_OK)
		return fault_state(fault, status, BLOCKZ_IMAGE_NEEDS_RECOVERY);
	return journal_drop(store, state, fault);
}

/* ---- Journals of edits */

static enum blockz_status recover_edit(const struct blockz_store *store, const struct found *found,
				       enum blockz_remedy remedy, enum blockz_recovery *recovery,
				       struct blockz_fault *fault)
{
	struct survey *survey = NULL;
	enum blockz_status status = survey_file(store, found, &survey, fault);
	if (status != BLOCKZ_OK)
		return fault_state(fault, status, BLOCKZ_IMAGE_NEEDS_RECOVERY);
	enum verdict verdict = decide_verdict(survey);
	if (remedy == BLOCKZ_REMEDY_UNDO && survey->same_ends)
		verdict = VERDICT_UNDO;
	bool is_clear = verdict == VERDICT_FINISHED || verdict == VERDICT_UNDO;
	if (!is_clear)
		status = refuse_verdict(survey, verdict, fault);
	free(survey);
	return is_clear ? settle_file(store, found, verdict == VERDICT_FINISHED, recovery, fault) : status;
}

/* ---- Journals of both kinds */

static enum blockz_status refuse_untrusted(struct blockz_fault *fault, int error)
{
	fault_set(fault, BLOCKZ_NEEDS_RECOVERY, BLOCKZ_UNKNOWN,
		  "the journal is %s; nothing was touched; who trusts it can recover copies of both",
		  error == EPERM ? "not a regular file of the image's owner, root, or you"
				 : "not a regular file with one link, or others may write to it");
	return fault_remedy(fault, BLOCKZ_REMEDY_DROP);
}

/* Finds the store's journal, and reads its header, unless there is none, or one of another user: found->error says so. */
static enum blockz_status open_journal(const struct blockz_store *store, struct found *found, struct blockz_fault *fault)
{
	found->error = store->ops->journal_find == NULL ? ENOENT : store->ops->journal_find(store->ctx, &found->len);
	if (found->error == ENOENT || found->error == EPERM)
		return BLOCKZ_OK;
	if (found->error == EINVAL)
		return refuse_untrusted(fault, found->error);
	if (found->error == EACCES) {
		fault_set(fault, BLOCKZ_NEEDS_RECOVERY, BLOCKZ_UNKNOWN,
			  "an edit was interrupted: its journal is beside the file, and you may not read it");
		return fault_remedy(fault, BLOCKZ_REMEDY_RECOVER);
	}
	enum blockz_status status =
		found->error != 0 ? fault_errno(fault, found->error, BLOCKZ_UNKNOWN, "opening the journal")
				  : journal_read_header(store, found->len, &found->header, fault);
	return fault_state(fault, status, BLOCKZ_IMAGE_NEEDS_RECOVERY);
}

static enum blockz_status recover_by_journal(const struct blockz_store *store, enum blockz_remedy remedy,
					     enum blockz_recovery *recovery, struct blockz_fault *fault)
{
	struct found found = { 0 };
	enum blockz_status status = open_journal(store, &found, fault);
	if (status != BLOCKZ_OK || found.error == ENOENT)
		return status;
	if (found.error == EPERM)
		return refuse_untrusted(fault, found.error);
	if (found.header.file_size != store->size)
		return journal_damaged(fault, "made for a file of another size");
	if (found.header.kind == JOURNAL_INTENT && remedy == BLOCKZ_REMEDY_UNDO)
		return journal_damaged(fault, "that of a served disk, which has no old content to bring back");
	if (found.header.kind == JOURNAL_INTENT)
		return intent_recover(store, found.len, &found.header, recovery, fault);
	return recover_edit(store, &found, remedy, recovery, fault);
}

static enum blockz_status drop_journal(const struct blockz_store *store, enum blockz_recovery *recovery,
			       struct blockz_fault *fault)
{
	uint64_t len;
	if (store->ops->journal_find == NULL || store->ops->journal_find(store->ctx, &len) == ENOENT)
		return BLOCKZ_OK;
	*recovery = BLOCKZ_RECOVERY_DROPPED;
	return fault_state(fault, journal_drop(store, BLOCKZ_IMAGE_UNCHANGED, fault), BLOCKZ_IMAGE_UNCHANGED);
}

enum blockz_status recovery_run(const struct blockz_store *store, enum blockz_remedy remedy,
				enum blockz_recovery *recovery_ret, struct blockz_fault *fault)
{
	enum blockz_recovery recovery = BLOCKZ_RECOVERY_NONE;
	enum blockz_status status = remedy == BLOCKZ_REMEDY_DROP ? drop_journal(store, &recovery, fault)
								 : recover_by_journal(store, remedy, &recovery, fault);
	if (status == BLOCKZ_OK)
		*recovery_ret = recovery;
	return status;
}

/* ---- Looking */

static enum blockz_status look_at_edit(const struct blockz_store *store, const struct found *found, bool *foreign,
				       struct blockz_fault *fault)
{
	struct survey *survey = NULL;
	enum blockz_status status = survey_file(store, found, &survey, fault);
	if (status != BLOCKZ_OK)
		return status;
	enum verdict verdict = decide_verdict(survey);
	*foreign = verdict == VERDICT_OTHER_FILE;
	if (!*foreign && verdict != VERDICT_FINISHED && verdict != VERDICT_UNDO)
		status = refuse_verdict(survey, verdict, fault);
	free(survey);
	return status;
}

static enum blockz_status look_by(const struct blockz_store *store, const struct found *found, bool *foreign,
			       struct blockz_fault *fault)
{
	*foreign = found->header.file_size != store->size;
	if (*foreign)
		return BLOCKZ_OK;
	enum blockz_status status = found->header.kind == JOURNAL_INTENT
					    ? intent_look(store, found->len, &found->header, foreign, fault)
					    : look_at_edit(store, found, foreign, fault);
	if (status == BLOCKZ_OK && !*foreign)
		status = fault_set(fault, BLOCKZ_NEEDS_RECOVERY, BLOCKZ_UNKNOWN,
				   "an edit was interrupted: its journal is beside the file");
	return fault_state(fault, status, BLOCKZ_IMAGE_NEEDS_RECOVERY);
}

enum blockz_status recovery_look(const struct blockz_store *store, enum recovery_journal *journal_ret,
				 struct blockz_fault *fault)
{
	struct found found = { 0 };
	bool foreign = false;
	enum blockz_status status = open_journal(store, &found, fault);
	if (status != BLOCKZ_OK)
		return status;
	if (found.error == 0)
		status = look_by(store, &found, &foreign, fault);
	if (status != BLOCKZ_OK)
		return status;
	*journal_ret = found.error == EPERM ? RECOVERY_OF_OTHER_USER : foreign ? RECOVERY_OF_OTHER_FILE : RECOVERY_NO_JOURNAL;
	return BLOCKZ_OK;
}
