/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Any bytes as the journal of any file: recovery touches nothing, or exactly the sectors that the journal names, or the
 * fields that an intent journal names, and can be interrupted.  The first bytes of the input say how long the file is
 * and which fields of the journal are made right, so that what stands behind them is reached.
 */
#include <xxhash.h>

#include "base/bytes.h"
#include "check/method.h"
#include "fuzz.h"
#include "journal/intent_layout.h"
#include "journal/recovery.h"

enum { PREFIX_LEN = 4 };

enum mend { SUM = 1, HEADER = 2, SIZES = 4, IDENTITY = 8, RECORDS = 16, ENDS = 32, INTENT = 64, VERSION_1 = 128 };

static uint32_t version_of(const struct bytes *journal)
{
	return load_le32(journal->data + 8);
}

static size_t record_len(const struct bytes *journal)
{
	return version_of(journal) == 1 ? JOURNAL_RECORD_LEN_1 : JOURNAL_RECORD_LEN;
}

/* Where a record has the old content. */
static size_t old_off(const struct bytes *journal)
{
	return version_of(journal) == 1 ? 24 : 8;
}

static uint64_t record_count(const struct bytes *journal)
{
	return (journal->len - JOURNAL_HEADER_LEN - JOURNAL_SUM_LEN) / record_len(journal);
}

static uint8_t *record_at(const struct bytes *journal, uint64_t index)
{
	return journal->data + JOURNAL_HEADER_LEN + index * record_len(journal);
}

static void mend_header(struct bytes *journal, const struct blockz_store *store, unsigned mend)
{
	uint8_t *p = journal->data;
	memcpy(p, "blockzJ1", 8);
	store_le32(p + 8, mend & VERSION_1 ? 1 : 2);
	store_le32(p + 12, 1);
	store_le32(p + 44, p[44] % 2);
	bytes_resize(journal, JOURNAL_HEADER_LEN + (size_t)record_count(journal) * record_len(journal) + JOURNAL_SUM_LEN);
	p = journal->data;
	if (mend & SIZES) {
		store_le64(p + 16, store->size);
		store_le64(p + 48, record_count(journal));
	}
	if (mend & IDENTITY) {
		store_le64(p + 24, store->identity.inode);
		store_le64(p + 32, (uint64_t)store->identity.birth_sec);
		store_le32(p + 40, store->identity.birth_nsec);
	}
}

static void mend_digests(uint8_t *p, unsigned kind, uint8_t *sector, size_t len)
{
	if (kind % 16 == 8) /* a content that is not what its digest says */
		store_le64(p + 8, XXH64(sector, len, 0));
	else if (kind % 2 == 1)
		memcpy(sector, p + 24, len);
	else if (kind % 16 != 0)
		store_le64(p + 16, XXH64(sector, len, 0));
}

/* The first half of a torn sector is new, or every second byte. */
static void mend_contents(uint8_t *p, unsigned kind, uint8_t *sector, size_t len)
{
	const uint8_t *old = p + 8, *new = old + JOURNAL_SECTOR;
	if (kind % 16 == 0)
		return;
	for (size_t i = 0; i < len; i++) {
		bool is_new = kind % 4 == 2 || (kind % 4 == 3 && (kind & 16 ? i % 2 == 0 : i < len / 2));
		sector[i] = is_new ? new[i] : old[i];
	}
}

/* Offsets that ascend; each sector of the file is as its record's old content, as its new one, or as neither. */
static void mend_records(const struct bytes *journal, const struct bytes *file)
{
	uint64_t off = 0;
	for (uint64_t i = 0; i < record_count(journal); i++, off += JOURNAL_SECTOR) {
		uint8_t *p = record_at(journal, i), kind = p[1];
		off += (uint64_t)p[0] % 4 * JOURNAL_SECTOR;
		size_t len = off < file->len ? journal_sector_len(off, file->len) : JOURNAL_SECTOR;
		store_le64(p, off);
		if (version_of(journal) == 1)
			store_le64(p + 8, XXH64(p + 24, len, 0));
		if (off >= file->len)
			break; /* a record that lies outside */
		if (version_of(journal) == 1)
			mend_digests(p, kind, file->data + off, len);
		else
			mend_contents(p, kind, file->data + off, len);
	}
}

/* The digest of the file's ends without the journal's sectors. */
static uint64_t digest_ends(const struct bytes *journal, const struct blockz_store *store)
{
	struct journal_ends *ends = malloc(sizeof(*ends));
	assert(ends != NULL && journal_ends_read(ends, store, NULL) == BLOCKZ_OK);
	for (uint64_t i = 0; i < record_count(journal); i++) {
		uint64_t off = load_le64(record_at(journal, i));
		if (off < store->size)
			journal_ends_blank(ends, off, off + journal_sector_len(off, store->size));
	}
	uint64_t digest = journal_ends_digest(ends);
	free(ends);
	return digest;
}

static void mend_journal(struct bytes *journal, const struct bytes *file, const struct blockz_store *store,
			 unsigned mend)
{
	if (journal->len < JOURNAL_HEADER_LEN + JOURNAL_SUM_LEN)
		return;
	if (mend & HEADER)
		mend_header(journal, store, mend);
	if (mend & RECORDS)
		mend_records(journal, file);
	if (mend & ENDS)
		store_le64(journal->data + 56, digest_ends(journal, store));
	if (mend & SUM)
		store_le64(journal->data + journal->len - JOURNAL_SUM_LEN,
			   XXH64(journal->data, journal->len - JOURNAL_SUM_LEN, 0));
}

/* ---- Intent journals ---- */

static uint64_t blank_count(const struct bytes *journal)
{
	return load_le64(journal->data + INTENT_BLANKS_OFF);
}

static uint64_t check_count(const struct bytes *journal)
{
	return load_le64(journal->data + 48);
}

static uint8_t *check_at(const struct bytes *journal, uint64_t index)
{
	return journal->data + INTENT_HEADER_LEN + blank_count(journal) * INTENT_BLANK_LEN + index * INTENT_CHECK_LEN;
}

static uint8_t *unit_at(const struct bytes *journal, uint64_t index)
{
	return journal->data + intent_records_off(blank_count(journal), check_count(journal)) +
	       index * INTENT_RECORD_LEN;
}

static void mend_counts(struct bytes *journal)
{
	uint8_t *p = journal->data;
	uint64_t room = p[INTENT_ROOM_OFF] % 6;
	store_le64(p + 48, p[48] % 5);
	store_le64(p + INTENT_BLANKS_OFF, p[INTENT_BLANKS_OFF] % 3);
	store_le64(p + INTENT_ROOM_OFF, room);
	uint64_t off = intent_records_off(blank_count(journal), check_count(journal));
	size_t len = journal->len;
	bytes_resize(journal, (size_t)(off + room * INTENT_RECORD_LEN));
	if (len < journal->len)
		memset(journal->data + len, 0, journal->len - len);
}

static void mend_check(uint8_t *p, size_t file_len)
{
	uint64_t start = load_le64(p) % 4096, len = load_le64(p + 8) % 4096;
	store_le64(p, start);
	store_le64(p + 8, start + len);
	store_le64(p + 16, load_le64(p + 16) % (file_len + 1));
	store_le32(p + 24, load_le32(p + 24) % 5);
	store_le32(p + 28, p[28] % 4 == 3);
}

static void mend_unit(uint8_t *p, uint64_t index, size_t file_len)
{
	uint64_t start = index * 700 + p[0] % 4 * 256, len = 1 + load_le64(p + 8) % 600;
	store_le64(p, start);
	store_le64(p + 8, start + len);
	store_le64(p + 16, load_le64(p + 16) % (file_len + 1));
	store_le32(p + 24, p[24] % 3 * 128);
	store_le16(p + 28, p[28] % 8);
	store_le16(p + 30, p[30] % 5);
	store_le64(p + 40, p[40] % 2 == 0 ? 0 : index);
}

static uint64_t digest_intent_ends(const struct bytes *journal, const struct blockz_store *store)
{
	struct journal_ends *ends = malloc(sizeof(*ends));
	assert(ends != NULL && journal_ends_read(ends, store, NULL) == BLOCKZ_OK);
	for (uint64_t i = 0; i < blank_count(journal); i++) {
		const uint8_t *p = journal->data + INTENT_HEADER_LEN + i * INTENT_BLANK_LEN;
		journal_ends_blank(ends, load_le64(p), load_le64(p + 8));
	}
	for (uint64_t i = 0; i < check_count(journal); i++) {
		const uint8_t *p = check_at(journal, i);
		uint64_t off = load_le64(p + 16);
		uint32_t method = load_le32(p + 24);
		if (method <= CHECK_XXH64_LOW32 && off < store->size)
			journal_ends_blank(ends, off, off + check_methods[method].len);
	}
	uint64_t digest = journal_ends_digest(ends);
	free(ends);
	return digest;
}

static void seal_intent(struct bytes *journal)
{
	uint8_t *sum = check_at(journal, check_count(journal));
	uint64_t seed = XXH64(journal->data, (size_t)(sum - journal->data), 0);
	store_le64(sum, seed);
	for (uint8_t *p = unit_at(journal, 0); p < journal->data + journal->len; p += INTENT_RECORD_LEN)
		if (p[49] % 8 != 7) /* else it is torn */
			store_le64(p + 56, XXH64(p, 56, seed));
}

static void mend_intent(struct bytes *journal, const struct bytes *file, const struct blockz_store *store,
			unsigned mend)
{
	if (journal->len < INTENT_HEADER_LEN + JOURNAL_SUM_LEN)
		return;
	mend_counts(journal);
	memcpy(journal->data, "blockzJ1", 8);
	store_le32(journal->data + 8, 1);
	store_le32(journal->data + 12, 2);
	if (mend & SIZES)
		store_le64(journal->data + 16, store->size);
	if (mend & IDENTITY) {
		store_le64(journal->data + 24, store->identity.inode);
		store_le64(journal->data + 32, (uint64_t)store->identity.birth_sec);
		store_le32(journal->data + 40, store->identity.birth_nsec);
	}
	for (uint64_t i = 0; i < check_count(journal) && mend & RECORDS; i++)
		mend_check(check_at(journal, i), file->len);
	for (uint64_t i = 0; i < load_le64(journal->data + INTENT_ROOM_OFF) && mend & RECORDS; i++)
		mend_unit(unit_at(journal, i), i, file->len);
	if (mend & ENDS)
		store_le64(journal->data + 56, digest_intent_ends(journal, store));
	if (mend & SUM)
		seal_intent(journal);
}

/* Nothing but fields differs from what the file was. */
static void check_settled(enum blockz_recovery recovery, const struct memory_store *memory, struct bytes *old)
{
	const struct bytes *journal = &memory->journal;
	for (uint64_t i = 0; i < check_count(journal); i++) {
		const uint8_t *p = check_at(journal, i);
		uint64_t off = load_le64(p + 16);
		memcpy(old->data + off, memory->file.data + off, check_methods[load_le32(p + 24)].len);
	}
	assert(recovery == BLOCKZ_RECOVERY_FINISHED && !memory->published && bytes_equal(&memory->file, old));
}

/* ---- Patch journals ---- */

/* What a sector of the file is by a record, as the header of the format says it and without a look at its reader. */
static bool is_old(const struct bytes *file, const struct bytes *journal, uint64_t index)
{
	const uint8_t *record = record_at(journal, index);
	uint64_t off = load_le64(record);
	return memcmp(file->data + off, record + old_off(journal), journal_sector_len(off, file->len)) == 0;
}

static bool is_new(const struct bytes *file, const struct bytes *journal, uint64_t index)
{
	const uint8_t *record = record_at(journal, index);
	uint64_t off = load_le64(record);
	size_t len = journal_sector_len(off, file->len);
	if (version_of(journal) == 1)
		return load_le64(record + 16) == XXH64(file->data + off, len, 0);
	return memcmp(file->data + off, record + 8 + JOURNAL_SECTOR, len) == 0;
}

static bool is_torn(const struct bytes *file, const struct bytes *journal, uint64_t index)
{
	const uint8_t *record = record_at(journal, index);
	uint64_t off = load_le64(record);
	if (version_of(journal) == 1)
		return false;
	for (size_t i = 0; i < journal_sector_len(off, file->len); i++)
		if (file->data[off + i] != record[8 + i] && file->data[off + i] != record[8 + JOURNAL_SECTOR + i])
			return false;
	return true;
}

/* The file as the journal says it was. */
static void undo(struct bytes *file, const struct bytes *journal)
{
	for (uint64_t i = 0; i < record_count(journal); i++) {
		const uint8_t *record = record_at(journal, i);
		uint64_t off = load_le64(record);
		memcpy(file->data + off, record + old_off(journal), journal_sector_len(off, file->len));
	}
}

static void check_recovered(enum blockz_recovery recovery, const struct memory_store *memory, struct bytes *old,
			    const struct blockz_store *store)
{
	const struct bytes *journal = &memory->journal;
	bool all_new = true, all_old = true;
	for (uint64_t i = 0; i < record_count(journal); i++) {
		bool one_old = is_old(old, journal, i), one_new = is_new(old, journal, i);
		assert(one_old || one_new || is_torn(old, journal, i));
		all_new = all_new && one_new;
		all_old = all_old && one_old;
	}
	bool unchecked = version_of(journal) == 2 && load_le32(journal->data + 44) == 1;
	assert(all_new || all_old || !unchecked);
	assert(load_le64(journal->data + 56) == digest_ends(journal, store));
	assert(recovery == (all_new ? BLOCKZ_RECOVERY_FINISHED : BLOCKZ_RECOVERY_UNDONE));
	if (!all_new)
		undo(old, journal);
	assert(!memory->published && bytes_equal(&memory->file, old));
}

/* A reader that is let through: the journal is another file's, by its size, its ends, or a sector; and none is new. */
static void check_look(const struct blockz_store *store, const struct memory_store *memory)
{
	enum recovery_journal found = RECOVERY_NO_JOURNAL;
	const struct bytes *journal = &memory->journal;
	bool unknown = false;
	if (recovery_look(store, &found, NULL) != BLOCKZ_OK)
		return;
	assert(found == RECOVERY_OF_OTHER_FILE);
	if (load_le64(journal->data + 16) != store->size || load_le32(journal->data + 12) == JOURNAL_INTENT ||
	    load_le64(journal->data + 56) != digest_ends(journal, store))
		return;
	for (uint64_t i = 0; i < record_count(journal); i++) {
		bool one_old = is_old(&memory->file, journal, i), one_new = is_new(&memory->file, journal, i);
		assert(one_old || !one_new);
		unknown = unknown || (!one_old && !is_torn(&memory->file, journal, i));
	}
	assert(unknown);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < PREFIX_LEN)
		return 0;
	size_t left = size - PREFIX_LEN, file_len = load_le16(data) < left ? load_le16(data) : left;
	struct memory_store memory = { .published = true, .fail_at = data[3] < 128 ? data[3] : UINT64_MAX };
	struct bytes old = { 0 }, journal = { 0 };
	bytes_append(&memory.file, data + PREFIX_LEN, file_len);
	bytes_append(&memory.journal, data + PREFIX_LEN + file_len, left - file_len);
	struct blockz_store store = memory_store(&memory);
	if (data[2] & INTENT)
		mend_intent(&memory.journal, &memory.file, &store, data[2]);
	else
		mend_journal(&memory.journal, &memory.file, &store, data[2]);
	bytes_append(&old, memory.file.data, memory.file.len);
	bytes_append(&journal, memory.journal.data, memory.journal.len);

	if (memory.journal.len >= INTENT_HEADER_LEN + JOURNAL_SUM_LEN)
		check_look(&store, &memory);
	enum blockz_recovery recovery = BLOCKZ_RECOVERY_NONE;
	struct blockz_fault fault = { 0 };
	enum blockz_status status = blockz_recover(&store, BLOCKZ_REMEDY_RECOVER, &recovery, &fault);
	if (status == BLOCKZ_FAILED) {
		/* Only the failing write can be the reason, and the next try succeeds. */
		assert(data[3] < 128 && fault.state == BLOCKZ_IMAGE_NEEDS_RECOVERY && memory.published);
		memory.fail_at = UINT64_MAX;
		memcpy(old.data, memory.file.data, old.len);
		status = blockz_recover(&store, BLOCKZ_REMEDY_RECOVER, &recovery, &fault);
		assert(status == BLOCKZ_OK);
	}
	assert(bytes_equal(&memory.journal, &journal));
	if (status == BLOCKZ_OK && load_le32(memory.journal.data + 12) == JOURNAL_INTENT) {
		check_settled(recovery, &memory, &old);
	} else if (status == BLOCKZ_OK) {
		check_recovered(recovery, &memory, &old, &store);
	} else {
		assert(status == BLOCKZ_NEEDS_RECOVERY && fault.state == BLOCKZ_IMAGE_NEEDS_RECOVERY);
		assert(memory.published && bytes_equal(&memory.file, &old));
	}
	free(old.data);
	free(journal.data);
	memory_store_free(&memory);
	return 0;
}
