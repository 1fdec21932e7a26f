/* SPDX-License-Identifier: BSD-3-Clause */
/* Intent journals that are not to be believed: of another file, of a sibling, damaged, made to deceive. */
#include <string.h>
#include <xxhash.h>

#include "base/bytes.h"
#include "blockz_disk.h"
#include "images.h"
#include "journal/intent_layout.h"
#include "stores.h"

enum { LEN = 600 * KIB + 7, PIECE = 64 * KIB };

static const struct blockz_range raw[] = { { 100, 9000 }, { 200 * KIB, 400 * KIB + 5 } };

/* Of each format in turn: a disk that was interrupted, as it was before, and what it held then. */
static const struct blockz_format *format;
static struct bytes clean_file, file, journal, image;
static struct memory_store store;

static enum blockz_status write_at(struct blockz_disk *disk, uint64_t off, size_t len)
{
	uint8_t *bytes = keep(len);
	memset(bytes, (int)(off % 251) + 1, len);
	memcpy(image.data + off, bytes, len);
	return blockz_disk_write(disk, bytes, len, off, NULL);
}

/* The first records come with the journal, the others are appended one at a time. */
static void interrupt_disk(int i)
{
	const struct blockz_pack_options pack = { .piece_size = PIECE, .raw = raw, .raw_count = 2 };
	const struct blockz_disk_options options = { .cache = MIB };
	struct blockz_disk *disk = NULL;
	format = format_of(i);
	image = image_new(IMAGE_DISK, LEN);
	clean_file = pack_image(format, image, pack, NULL);
	memory_store_init(&store, clean_file.data, clean_file.len);
	struct blockz_store table = memory_store(&store);
	ck_assert_int_eq(blockz_disk_open(&table, &options, &disk, NULL), BLOCKZ_OK);
	ck_assert_int_eq(write_at(disk, 200 * KIB, 100 * KIB), BLOCKZ_OK);
	ck_assert_int_eq(write_at(disk, 150, 1000), BLOCKZ_OK);
	ck_assert_int_eq(write_at(disk, 390 * KIB, 5), BLOCKZ_OK);
	store.cut_at = store.step_count + 1;
	ck_assert_int_eq(blockz_disk_close(disk, NULL), BLOCKZ_FAILED);
	file = bytes_copy((struct bytes){ store.file.seen, store.file.size });
	journal = bytes_copy((struct bytes){ store.journal.seen, store.journal.size });
}

static void put(struct bytes bytes, struct bytes record)
{
	memory_store_reset(&store, bytes.data, bytes.len);
	memory_store_put_journal(&store, record.data, record.len);
}

static enum blockz_status recover(enum blockz_recovery *recovery_ret, struct blockz_fault *fault)
{
	struct blockz_store table = memory_store(&store);
	return blockz_recover(&table, BLOCKZ_REMEDY_RECOVER, recovery_ret, fault);
}

static void assert_refused(const char *what, size_t where)
{
	struct blockz_fault fault = { .status = BLOCKZ_OK };
	enum blockz_recovery recovery = (enum blockz_recovery)99;
	ck_assert_msg(recover(&recovery, &fault) == BLOCKZ_NEEDS_RECOVERY, "%s %zu", what, where);
	ck_assert_msg(memory_store_count(&store, STORE_WRITE) == 0 && memory_store_has_journal(&store), "%s %zu", what, where);
	ck_assert_int_eq(recovery, 99);
	ck_assert_int_eq(fault.status, BLOCKZ_NEEDS_RECOVERY);
	ck_assert_int_eq(fault.state, BLOCKZ_IMAGE_NEEDS_RECOVERY);
	ck_assert_uint_gt(strlen(fault.text), 0);
}

static void assert_recovered(struct bytes expected)
{
	enum blockz_recovery recovery;
	struct blockz_fault fault = { .text = "" };
	ck_assert_msg(recover(&recovery, &fault) == BLOCKZ_OK, "%s", fault.text);
	ck_assert_int_eq(recovery, BLOCKZ_RECOVERY_FINISHED);
	assert_decodes(format->name, (struct bytes){ store.file.seen, store.file.size }, expected);
	ck_assert_int_eq(recover(&recovery, NULL), BLOCKZ_OK);
	ck_assert_int_eq(recovery, BLOCKZ_RECOVERY_NONE);
}

/* ---- Parts of the journal, and its sums made right again ---- */

static uint64_t check_count(void)
{
	return load_le64(journal.data + 48);
}

static size_t checks_off(void)
{
	return INTENT_HEADER_LEN + (size_t)load_le64(journal.data + INTENT_BLANKS_OFF) * INTENT_BLANK_LEN;
}

static size_t records_off(void)
{
	return (size_t)intent_records_off(load_le64(journal.data + INTENT_BLANKS_OFF), check_count());
}

static size_t record_count(void)
{
	size_t count = 0;
	while (load_le64(journal.data + records_off() + count * INTENT_RECORD_LEN + 56) != 0)
		count++;
	return count;
}

static uint8_t *record_at(struct bytes bytes, size_t index)
{
	return bytes.data + records_off() + index * INTENT_RECORD_LEN;
}

static void reseal_record(struct bytes bytes, size_t index)
{
	uint8_t *p = record_at(bytes, index);
	uint64_t seed = load_le64(bytes.data + checks_off() + check_count() * INTENT_CHECK_LEN);
	store_le64(p + 56, XXH64(p, 56, seed));
}

static void reseal(struct bytes bytes)
{
	size_t len = checks_off() + (size_t)check_count() * INTENT_CHECK_LEN;
	store_le64(bytes.data + len, XXH64(bytes.data, len, 0));
	for (size_t i = 0; i < record_count(); i++)
		reseal_record(bytes, i);
}

/* ---- Whose journal it is ---- */

START_TEST(the_files_own_journal_is_believed)
{
	interrupt_disk(_i);
	ck_assert_uint_ge(record_count(), 4);
	for (unsigned round = 0; round < 2; round++) {
		put(file, journal);
		store.identity.inode += round; /* a copy of it */
		assert_recovered(image);
	}
	memory_store_free(&store);
}
END_TEST

/* What is behind the journal's back: a byte of the ends that no write can reach. */
START_TEST(a_file_with_other_ends_is_refused)
{
	interrupt_disk(_i);
	size_t offs[] = { 1, 70, file.len - 50000 };
	for (size_t i = 0; i < 3; i++) {
		struct bytes other = bytes_copy(file);
		other.data[offs[i]] ^= 1;
		put(other, journal);
		/* Only a field may differ. */
		enum blockz_recovery recovery;
		if (recover(&recovery, NULL) == BLOCKZ_OK)
			continue;
		put(other, journal);
		assert_refused("a byte changed at", offs[i]);
	}
	struct bytes longer = bytes_join(file, (struct bytes){ file.data, 1 });
	put(longer, journal);
	assert_refused("a longer file", 0);
	memory_store_free(&store);
}
END_TEST

/* Another variant of the image, edited elsewhere in its raw ranges; it is valid, and has to stay so. */
START_TEST(a_siblings_journal_does_no_harm)
{
	interrupt_disk(_i);
	struct bytes sibling = bytes_copy(clean_file), edited = bytes_new(LEN);
	struct blockz_source source = bytes_source(clean_file);
	struct blockz_map *map = map_of(source, false);
	struct blockz_reader *reader = NULL;
	ck_assert_int_eq(blockz_reader_new(&source, map, &reader, NULL), BLOCKZ_OK);
	ck_assert_int_eq(blockz_reader_read(reader, edited.data, LEN, 0, NULL), BLOCKZ_OK);
	blockz_reader_free(reader);
	blockz_map_free(map);
	complement(edited, (struct blockz_range){ 330 * KIB, 331 * KIB });
	patch_range(sibling, false, edited, (struct blockz_range){ 330 * KIB, 331 * KIB });
	put(sibling, journal);
	assert_refused("a sibling copied over the file", 0);
	store.identity.inode++;
	assert_refused("a sibling", 0);
	/* The file as it was before: recovery has nothing to change in it. */
	put(clean_file, journal);
	store.identity.inode++;
	enum blockz_recovery recovery;
	ck_assert_int_eq(recover(&recovery, NULL), BLOCKZ_OK);
	assert_bytes((struct bytes){ store.file.seen, store.file.size }, clean_file);
	memory_store_free(&store);
}
END_TEST

/* ---- Damage ---- */

START_TEST(each_bit_of_the_head_counts)
{
	interrupt_disk(_i);
	size_t len = checks_off() + (size_t)check_count() * INTENT_CHECK_LEN + JOURNAL_SUM_LEN;
	for (size_t bit = 0; bit < 8 * len; bit += few_rounds ? 7 : 1) {
		struct bytes damaged = bytes_copy(journal);
		damaged.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
		put(file, damaged);
		assert_refused("bit", bit);
	}
	memory_store_free(&store);
}
END_TEST

/* Those behind show that a record was durable. */
START_TEST(each_bit_of_a_record_that_was_durable_counts)
{
	interrupt_disk(_i);
	for (size_t bit = 0; bit < 8 * INTENT_RECORD_LEN * (record_count() - 1); bit++) {
		struct bytes damaged = bytes_copy(journal);
		record_at(damaged, 0)[bit / 8] ^= (uint8_t)(1 << bit % 8);
		put(file, damaged);
		assert_refused("bit", bit);
	}
	memory_store_free(&store);
}
END_TEST

START_TEST(each_truncation_is_refused)
{
	interrupt_disk(_i);
	for (size_t len = 0; len < journal.len; len += len % 64 == 0 && few_rounds ? 64 : 1) {
		put(file, (struct bytes){ journal.data, len });
		assert_refused("length", len);
	}
	memory_store_free(&store);
}
END_TEST

/* The last record alone may be torn: then its unit was not written to. */
START_TEST(a_torn_last_record_is_of_a_unit_that_was_not_written)
{
	interrupt_disk(_i);
	size_t last = record_count() - 1;
	const uint8_t *p = record_at(journal, last);
	uint64_t start = load_le64(p), end = load_le64(p + 8);
	struct bytes older = bytes_copy(file), before = bytes_new(LEN);
	struct blockz_map *map = map_of(bytes_source(clean_file), false);
	size_t decoded = 0;
	ck_assert(judge(format->name, clean_file, before, &decoded) && decoded == LEN);
	for (uint64_t pos = start; pos < end;) {
		struct blockz_extent extent;
		ck_assert(blockz_map_extent_at(map, pos, &extent));
		uint64_t part = extent.length < end - pos ? extent.length : end - pos;
		memcpy(older.data + extent.file_off, clean_file.data + extent.file_off, (size_t)part);
		pos += part;
	}
	blockz_map_free(map);
	memcpy(image.data + start, before.data + start, (size_t)(end - start));
	for (size_t cut = 0; cut < INTENT_RECORD_LEN; cut++) {
		struct bytes torn = bytes_copy(journal);
		memset(record_at(torn, last) + cut, 0, INTENT_RECORD_LEN - cut);
		put(older, torn);
		assert_recovered(image);
	}
	memory_store_free(&store);
}
END_TEST

/* ---- Deceit: every sum is right ---- */

static void assert_lie_refused(const char *what, size_t off, uint64_t value, size_t len)
{
	struct bytes lie = bytes_copy(journal);
	for (size_t i = 0; i < len; i++)
		lie.data[off + i] = (uint8_t)(value >> 8 * i);
	reseal(lie);
	put(file, lie);
	assert_refused(what, off);
}

START_TEST(lies_about_checks_are_refused)
{
	interrupt_disk(_i);
	size_t first = checks_off();
	assert_lie_refused("method", first + 24, 0, 4);
	assert_lie_refused("method", first + 24, 5, 4);
	assert_lie_refused("method", first + 24, UINT32_MAX, 4);
	assert_lie_refused("kind", first + 28, 2, 4);
	assert_lie_refused("start", first, load_le64(journal.data + first + 8), 8);
	assert_lie_refused("field", first + 16, file.len - 3, 8);
	assert_lie_refused("field", first + 16, UINT64_MAX, 8);
	assert_lie_refused("checks", 48, UINT64_MAX / INTENT_CHECK_LEN, 8);
	assert_lie_refused("checks", 48, MAP_ITEMS_MAX, 8);
	assert_lie_refused("blanks", INTENT_BLANKS_OFF, UINT64_MAX, 8);
	assert_lie_refused("room", INTENT_ROOM_OFF, UINT64_MAX, 8);
	assert_lie_refused("size", 16, file.len + 1, 8);
	assert_lie_refused("kind", 12, 3, 4);
	assert_lie_refused("kind", 12, 1, 4);
	memory_store_free(&store);
}
END_TEST

START_TEST(lies_about_units_are_refused)
{
	interrupt_disk(_i);
	size_t first = (size_t)(record_at(journal, 1) - journal.data);
	assert_lie_refused("empty", first + 8, load_le64(journal.data + first), 8);
	assert_lie_refused("end", first + 8, load_le64(journal.data + first) + INTENT_UNIT_MAX + 1, 8);
	assert_lie_refused("end", first + 8, UINT64_MAX, 8);
	assert_lie_refused("file", first + 16, file.len - 100, 8);
	assert_lie_refused("file", first + 16, UINT64_MAX - 100, 8);
	assert_lie_refused("stride", first + 24, 1, 4);
	assert_lie_refused("method", first + 30, 0, 2);
	assert_lie_refused("method", first + 30, 9, 2);
	assert_lie_refused("batch", first + 40, 2, 8);
	/* The same bytes twice. */
	struct bytes lie = bytes_copy(journal);
	memcpy(record_at(lie, 1), record_at(lie, 0), 40);
	reseal(lie);
	put(file, lie);
	assert_refused("twice", 0);
	memory_store_free(&store);
}
END_TEST

int main(void)
{
	TCase *c = case_new("intent");
	case_add_formats(c, the_files_own_journal_is_believed);
	case_add_formats(c, a_file_with_other_ends_is_refused);
	case_add_formats(c, a_siblings_journal_does_no_harm);
	case_add_formats(c, each_bit_of_the_head_counts);
	case_add_formats(c, each_bit_of_a_record_that_was_durable_counts);
	case_add_formats(c, each_truncation_is_refused);
	case_add_formats(c, a_torn_last_record_is_of_a_unit_that_was_not_written);
	case_add_formats(c, lies_about_checks_are_refused);
	case_add_formats(c, lies_about_units_are_refused);
	return case_run("intent", c);
}
