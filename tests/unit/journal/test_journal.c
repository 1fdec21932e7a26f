/* SPDX-License-Identifier: BSD-3-Clause */
/* Journals that are not to be believed: of another file, of a sibling, damaged, made to deceive. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "journal/journal.h"
#include "memory.h"
#include "random.h"
#include "transactions.h"

enum { WRITES_DONE = 3 };

static struct sample sample;
static struct memory_store store;
/* The journal of an edit that was interrupted, and the file as that left it. */
static uint8_t *journal, *torn;
static size_t len, record_len;

static void setup(void)
{
	sample_init(&sample);
	memory_store_init(&store, sample.old, sample.len);
	sample_interrupt(&sample, &store, WRITES_DONE);
	len = store.journal.size;
	record_len = JOURNAL_RECORD_LEN;
	journal = malloc(len);
	torn = malloc(sample.len);
	memcpy(journal, store.journal.seen, len);
	memcpy(torn, store.file.seen, sample.len);
	ck_assert_int_ne(memcmp(torn, sample.old, sample.len), 0);
	ck_assert_int_ne(memcmp(torn, sample.new, sample.len), 0);
}

static void teardown(void)
{
	sample_free(&sample);
	memory_store_free(&store);
	free(journal);
	free(torn);
}

/* A store with this content and this journal. */
static void put(const uint8_t *bytes, size_t bytes_len, const uint8_t *left, size_t left_len)
{
	memory_store_reset(&store, bytes, bytes_len);
	memory_store_put_journal(&store, left, left_len);
}

static enum blockz_status recover(enum blockz_recovery *recovery_ret, struct blockz_fault *fault)
{
	struct blockz_store table = memory_store(&store);
	return recovery_run(&table, BLOCKZ_REMEDY_RECOVER, recovery_ret, fault);
}

static bool nothing_was_touched(void)
{
	return memory_store_count(&store, STORE_WRITE) == 0 && memory_store_count(&store, STORE_JOURNAL_UNLINK) == 0 &&
	       memory_store_has_journal(&store);
}

static void assert_refused(const char *what, size_t where)
{
	struct blockz_fault fault = { .status = BLOCKZ_OK };
	enum blockz_recovery recovery = (enum blockz_recovery)99;
	ck_assert_msg(recover(&recovery, &fault) == BLOCKZ_NEEDS_RECOVERY, "%s %zu", what, where);
	ck_assert_msg(nothing_was_touched(), "%s %zu", what, where);
	ck_assert_int_eq(recovery, 99);
	ck_assert_int_eq(fault.status, BLOCKZ_NEEDS_RECOVERY);
	ck_assert_int_eq(fault.state, BLOCKZ_IMAGE_NEEDS_RECOVERY);
	ck_assert_uint_gt(strlen(fault.text), 0);
}

/* Where a record has the old content, and what version 1 has in front of it. */
static size_t old_content(void)
{
	return record_len == JOURNAL_RECORD_LEN ? 8 : 24;
}

/* Makes the checksum right again. */
static void reseal(uint8_t *bytes, size_t bytes_len)
{
	store_le64(bytes + bytes_len - JOURNAL_SUM_LEN, journal_digest(bytes, bytes_len - JOURNAL_SUM_LEN));
}

/* Makes the journal one that release 0.1.0 would have left. */
static void use_version(int version)
{
	size_t count = (len - JOURNAL_HEADER_LEN - JOURNAL_SUM_LEN) / JOURNAL_RECORD_LEN;
	if (version == 2)
		return;
	uint8_t *from = journal + JOURNAL_HEADER_LEN, *to = from;
	for (size_t i = 0; i < count; i++, from += JOURNAL_RECORD_LEN, to += JOURNAL_RECORD_LEN_1) {
		uint8_t record[JOURNAL_RECORD_LEN];
		memcpy(record, from, sizeof(record));
		size_t sector = journal_sector_len(load_le64(record), sample.len);
		store_le64(to, load_le64(record));
		store_le64(to + 8, journal_digest(record + 8, sector));
		store_le64(to + 16, journal_digest(record + 8 + JOURNAL_SECTOR, sector));
		memcpy(to + 24, record + 8, JOURNAL_SECTOR);
	}
	store_le32(journal + 8, 1);
	record_len = JOURNAL_RECORD_LEN_1;
	len = JOURNAL_HEADER_LEN + count * record_len + JOURNAL_SUM_LEN;
	reseal(journal, len);
}

/* ---- Whose journal it is ---- */

START_TEST(the_files_own_journal_is_believed)
{
	enum blockz_recovery recovery;
	use_version(_i);
	for (int round = 0; round < 2; round++) {
		put(torn, sample.len, journal, len);
		store.identity.inode += (uint64_t)round; /* a copy of it */
		ck_assert_int_eq(recover(&recovery, NULL), BLOCKZ_OK);
		ck_assert_int_eq(recovery, BLOCKZ_RECOVERY_UNDONE);
		ck_assert(sample_is_old(&sample, &store));
		ck_assert_int_eq(recover(&recovery, NULL), BLOCKZ_OK);
		ck_assert_int_eq(recovery, BLOCKZ_RECOVERY_NONE);
	}
	put(sample.new, sample.len, journal, len);
	ck_assert_int_eq(recover(&recovery, NULL), BLOCKZ_OK);
	ck_assert_int_eq(recovery, BLOCKZ_RECOVERY_FINISHED);
	ck_assert(sample_is_new(&sample, &store));
}
END_TEST

START_TEST(another_files_journal_is_refused)
{
	uint8_t *other = malloc(sample.len);
	use_version(_i);
	rnd_fill(other, sample.len);
	put(other, sample.len, journal, len);
	assert_refused("another file", 0);
	put(other, sample.len, journal, len);
	store.identity.inode++;
	assert_refused("another file with another inode", 0);
	free(other);
}
END_TEST

/* One byte of either end that the edit does not touch tells files apart, whatever their inodes say. */
START_TEST(a_file_with_other_ends_is_refused)
{
	use_version(_i);
	static const size_t offs[] = { 2000, 30000, 65535, 150123 - 65536, 130000, 149000 };
	for (size_t i = 0; i < sizeof(offs) / sizeof(offs[0]); i++) {
		torn[offs[i]] ^= 1;
		put(torn, sample.len, journal, len);
		assert_refused("a byte changed at", offs[i]);
		torn[offs[i]] ^= 1;
	}
}
END_TEST

START_TEST(a_journal_of_another_size_is_refused)
{
	use_version(_i);
	static const int64_t offs[] = { -1, 1, -512, 512, -100000 };
	for (size_t i = 0; i < sizeof(offs) / sizeof(offs[0]); i++) {
		size_t other = (size_t)((int64_t)sample.len + offs[i]);
		uint8_t *bytes = calloc(1, other);
		memcpy(bytes, torn, other < sample.len ? other : sample.len);
		put(bytes, other, journal, len);
		assert_refused("size", other);
		free(bytes);
	}
}
END_TEST

/*
 * Variants of one image differ only in sectors that an edit has touched.  A sibling with an edit of its own has neither
 * the old nor the new content in them.
 */
START_TEST(a_siblings_journal_is_refused)
{
	use_version(_i);
	for (size_t i = 0; i < sample.count; i++) {
		memcpy(torn, i % 2 == 0 ? sample.old : sample.new, sample.len);
		torn[sample.writes[i].file_off] = (uint8_t)~sample.new[sample.writes[i].file_off];
		if (torn[sample.writes[i].file_off] == sample.old[sample.writes[i].file_off])
			torn[sample.writes[i].file_off] ^= 0x10;
		put(torn, sample.len, journal, len);
		store.identity.inode++;
		assert_refused("sibling that differs in write", i);
		put(torn, sample.len, journal, len);
		store.identity.birth_nsec++;
		assert_refused("sibling with a reused inode that differs in write", i);
	}
}
END_TEST

START_TEST(a_sibling_that_was_not_edited_stays_as_it_is)
{
	enum blockz_recovery recovery;
	use_version(_i);
	put(sample.old, sample.len, journal, len);
	store.identity.inode++;
	ck_assert_int_eq(recover(&recovery, NULL), BLOCKZ_OK);
	ck_assert_int_eq(recovery, BLOCKZ_RECOVERY_UNDONE);
	ck_assert(sample_is_old(&sample, &store));
}
END_TEST

START_TEST(a_journal_of_somebody_else_is_not_even_read)
{
	put(torn, sample.len, journal, len);
	store.untrusted = EPERM;
	assert_refused("somebody else's", 0);
	ck_assert_uint_eq(memory_store_count(&store, STORE_JOURNAL_READ), 0);
}
END_TEST

/* ---- Damage ---- */

START_TEST(damage_at_every_byte_is_found)
{
	use_version(_i);
	for (size_t i = 0; i < len; i += few_rounds ? 1 + (size_t)rnd_below(20) : 1) {
		uint8_t bit = (uint8_t)(1U << rnd_below(8));
		journal[i] ^= bit;
		put(torn, sample.len, journal, len);
		assert_refused("byte", i);
		journal[i] ^= bit;
	}
}
END_TEST

START_TEST(every_other_length_is_refused)
{
	use_version(_i);
	for (size_t i = 0; i < len; i += few_rounds ? 1 + (size_t)rnd_below(20) : 1) {
		put(torn, sample.len, journal, i);
		assert_refused("length", i);
	}
	uint8_t *longer = calloc(1, len + 600);
	memcpy(longer, journal, len);
	for (size_t i = len + 1; i <= len + 600; i += i < len + 20 ? 1 : 29) {
		put(torn, sample.len, longer, i);
		assert_refused("length", i);
	}
	free(longer);
}
END_TEST

/* ---- Lies with a good checksum ---- */

/* Makes the digest of the ends right again for the offsets of the records: a lie has to be found by itself. */
static void renew_ends(uint8_t *bytes)
{
	struct journal_ends *ends = malloc(sizeof(*ends));
	memory_store_reset(&store, torn, sample.len);
	struct blockz_store table = memory_store(&store);
	ck_assert_int_eq(journal_ends_read(ends, &table, NULL), BLOCKZ_OK);
	for (size_t record = JOURNAL_HEADER_LEN; record < len - JOURNAL_SUM_LEN; record += record_len) {
		uint64_t off = load_le64(bytes + record);
		if (off < sample.len)
			journal_ends_blank(ends, off, off + journal_sector_len(off, sample.len));
	}
	store_le64(bytes + 56, journal_ends_digest(ends));
	free(ends);
}

struct lie {
	const char *what;
	size_t off;
	uint64_t value;
};

START_TEST(lies_are_refused)
{
	use_version(_i);
	size_t first = JOURNAL_HEADER_LEN, second = first + record_len;
	size_t last = len - JOURNAL_SUM_LEN - record_len, lonely = last - record_len;
	const struct lie lies[] = {
		{ "magic", 0, 0 },
		{ "version and kind", 8, 3 | (uint64_t)1 << 32 },
		{ "no version", 8, (uint64_t)1 << 32 },
		{ "the other version", 8, (3 - load_le32(journal + 8)) | (uint64_t)1 << 32 },
		{ "kind", 8, 1 | (uint64_t)2 << 32 },
		{ "kind of another version", 8, 2 | (uint64_t)2 << 32 },
		{ "unknown kind", 8, 1 | (uint64_t)3 << 32 },
		{ "file size", 16, sample.len + 1 },
		{ "more records", 48, load_le64(journal + 48) + 1 },
		{ "fewer records", 48, load_le64(journal + 48) - 1 },
		{ "no records", 48, 0 },
		{ "records without end", 48, UINT64_MAX },
		{ "a count that overflows", 48, UINT64_MAX / record_len + 2 },
		{ "ends", 56, 1 },
		{ "a record that is not aligned", lonely, load_le64(journal + lonely) + 1 },
		{ "a record behind the next", first, 1 << 20 },
		{ "the same record again", second, load_le64(journal + first) },
		{ "content that is neither what is there nor new", lonely + old_content() + 140000 % JOURNAL_SECTOR, 0 },
		{ "a record beyond the file", last, (sample.len / 512 + 1) * 512 },
		{ "a record far beyond the file", last, UINT64_C(0xfffffffffffffe00) },
	};
	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		uint8_t *copy = malloc(len);
		memcpy(copy, journal, len);
		store_le64(copy + lies[i].off, lies[i].value);
		if (lies[i].off >= JOURNAL_HEADER_LEN)
			renew_ends(copy);
		reseal(copy, len);
		put(torn, sample.len, copy, len);
		assert_refused(lies[i].what, i);
		free(copy);
	}
}
END_TEST

/* Bytes that recovery has changed outside the sectors that the records of a journal name. */
static size_t strange_bytes(const uint8_t *record)
{
	size_t count = 0;
	for (size_t i = 0; i < sample.len; i++)
		count += store.file.seen[i] != torn[i];
	for (; record < journal + len - JOURNAL_SUM_LEN; record += record_len) {
		uint64_t off = load_le64(record);
		for (size_t i = 0; i < JOURNAL_SECTOR && off < sample.len && i < sample.len - off; i++)
			count -= store.file.seen[off + i] != torn[off + i];
	}
	return count;
}

START_TEST(random_lies_do_no_more_than_a_journal_may)
{
	use_version(_i);
	uint8_t *truth = malloc(len);
	size_t count = (len - JOURNAL_HEADER_LEN) / record_len;
	memcpy(truth, journal, len);
	for (int round = 0; round < (few_rounds ? 300 : 1500); round++) {
		enum blockz_recovery recovery;
		memcpy(journal, truth, len);
		for (uint64_t i = 1 + rnd_below(3); i > 0; i--) {
			size_t record = JOURNAL_HEADER_LEN + (size_t)rnd_below(count) * record_len;
			bool header = rnd_below(3) == 0;
			journal[header ? rnd_below(JOURNAL_HEADER_LEN) : record + rnd_below(24)] = (uint8_t)rnd();
		}
		reseal(journal, len);
		put(torn, sample.len, journal, len);
		enum blockz_status status = recover(&recovery, NULL);
		ck_assert(status == BLOCKZ_OK || (status == BLOCKZ_NEEDS_RECOVERY && nothing_was_touched()));
		ck_assert_uint_eq(strange_bytes(journal + JOURNAL_HEADER_LEN), 0);
	}
	free(truth);
}
END_TEST

int main(void)
{
	TCase *c = case_new("journal");
	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_loop_test(c, the_files_own_journal_is_believed, 1, 3);
	tcase_add_loop_test(c, another_files_journal_is_refused, 1, 3);
	tcase_add_loop_test(c, a_file_with_other_ends_is_refused, 1, 3);
	tcase_add_loop_test(c, a_journal_of_another_size_is_refused, 1, 3);
	tcase_add_loop_test(c, a_siblings_journal_is_refused, 1, 3);
	tcase_add_loop_test(c, a_sibling_that_was_not_edited_stays_as_it_is, 1, 3);
	tcase_add_test(c, a_journal_of_somebody_else_is_not_even_read);
	tcase_add_loop_test(c, damage_at_every_byte_is_found, 1, 3);
	tcase_add_loop_test(c, every_other_length_is_refused, 1, 3);
	tcase_add_loop_test(c, lies_are_refused, 1, 3);
	tcase_add_loop_test(c, random_lies_do_no_more_than_a_journal_may, 1, 3);
	return case_run("journal", c);
}
