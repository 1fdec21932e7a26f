/* SPDX-License-Identifier: BSD-3-Clause */
/* Writing and reading journals of edits, and what both kinds of journals have in common. */
#include "journal/journal.h"

#include <errno.h>
#include <stdlib.h>
#include <xxhash.h>

#include "base/bytes.h"
#include "base/fault.h"

enum {
	PATCH_VERSION = 2,
	INTENT_VERSION = 1,
	FLAG_UNCHECKED = 1,
	BUFFER_RECORDS = 1024, /* about 1 MiB */
};

static const char magic[8] = { 'b', 'l', 'o', 'c', 'k', 'z', 'J', '1' };

uint64_t journal_len(uint64_t count)
{
	return JOURNAL_HEADER_LEN + count * JOURNAL_RECORD_LEN + JOURNAL_SUM_LEN;
}

uint64_t journal_digest(const uint8_t *bytes, size_t len)
{
	return XXH64(bytes, len, 0);
}

size_t journal_sector_len(uint64_t file_off, uint64_t file_size)
{
	return file_size - file_off < JOURNAL_SECTOR ? (size_t)(file_size - file_off) : JOURNAL_SECTOR;
}

bool journal_is_mixture(const uint8_t *found, const uint8_t *a, const uint8_t *b, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (found[i] != a[i] && found[i] != b[i])
			return false;
	return true;
}

enum journal_sector journal_compare(const struct journal_record *record, const uint8_t *sector, size_t len)
{
	bool is_old = memcmp(sector, record->old, len) == 0;
	bool is_new = record->new != NULL ? memcmp(sector, record->new, len) == 0
					  : journal_digest(sector, len) == record->new_digest;
	if (is_old && is_new)
		return JOURNAL_SECTOR_SAME;
	if (is_old)
		return JOURNAL_SECTOR_OLD;
	if (is_new)
		return JOURNAL_SECTOR_NEW;
	bool is_torn = record->new != NULL && journal_is_mixture(sector, record->old, record->new, len);
	return is_torn ? JOURNAL_SECTOR_MIXED : JOURNAL_SECTOR_UNKNOWN;
}

/* ---- Of both kinds ---- */

void journal_header_store(uint8_t *p, enum journal_kind kind, const struct journal_header *header)
{
	memset(p, 0, JOURNAL_HEADER_LEN);
	memcpy(p, magic, sizeof(magic));
	store_le32(p + 8, kind == JOURNAL_PATCH ? PATCH_VERSION : INTENT_VERSION);
	store_le32(p + 12, kind);
	store_le64(p + 16, header->file_size);
	store_le64(p + 24, header->identity.inode);
	store_le64(p + 32, (uint64_t)header->identity.birth_sec);
	store_le32(p + 40, header->identity.birth_nsec);
	store_le32(p + 44, header->unchecked ? FLAG_UNCHECKED : 0);
	store_le64(p + 48, header->count);
	store_le64(p + 56, header->ends);
}

enum blockz_status journal_damaged(struct blockz_fault *fault, const char *what)
{
	fault_set(fault, BLOCKZ_NEEDS_RECOVERY, BLOCKZ_UNKNOWN, "journal: %s; it is left as it is", what);
	return fault_remedy(fault, BLOCKZ_REMEDY_DROP);
}

enum blockz_status journal_read_part(const struct blockz_store *store, void *buf, size_t len, uint64_t off,
				     struct blockz_fault *fault)
{
	size_t got = 0;
	int error = store->ops->journal_read(store->ctx, buf, len, off, &got);
	if (error != 0)
		return fault_errno(fault, error, BLOCKZ_UNKNOWN, "reading the journal");
	return got < len ? journal_damaged(fault, "ends early") : BLOCKZ_OK;
}

static bool is_known(uint32_t version, uint32_t kind, uint32_t flags)
{
	if (version == PATCH_VERSION)
		return kind == JOURNAL_PATCH && (flags & ~(uint32_t)FLAG_UNCHECKED) == 0;
	return version == INTENT_VERSION && (kind == JOURNAL_PATCH || kind == JOURNAL_INTENT);
}

enum blockz_status journal_read_header(const struct blockz_store *store, uint64_t len,
				       struct journal_header *header_ret, struct blockz_fault *fault)
{
	uint8_t p[JOURNAL_HEADER_LEN];
	if (len < JOURNAL_HEADER_LEN + JOURNAL_SUM_LEN)
		return journal_damaged(fault, "too short");
	enum blockz_status status = journal_read_part(store, p, sizeof(p), 0, fault);
	if (status != BLOCKZ_OK)
		return status;
	if (memcmp(p, magic, sizeof(magic)) != 0)
		return journal_damaged(fault, "not a journal of blockz");
	uint32_t version = load_le32(p + 8), kind = load_le32(p + 12), flags = load_le32(p + 44);
	if (!is_known(version, kind, flags))
		return journal_damaged(fault, "of a version or kind that this program does not know");
	*header_ret = (struct journal_header){
		.kind = (enum journal_kind)kind,
		.version = version,
		.file_size = load_le64(p + 16),
		.identity = { load_le64(p + 24), (int64_t)load_le64(p + 32), load_le32(p + 40) },
		.unchecked = (flags & FLAG_UNCHECKED) != 0,
		.count = load_le64(p + 48),
		.ends = load_le64(p + 56),
	};
	memcpy(header_ret->bytes, p, sizeof(p));
	return BLOCKZ_OK;
}

bool journal_is_of(const struct journal_header *header, const struct blockz_store *store)
{
	const struct blockz_identity *a = &header->identity, *b = &store->identity;
	return a->inode == b->inode && a->birth_sec == b->birth_sec && a->birth_nsec == b->birth_nsec;
}

enum blockz_status journal_refuse(const struct blockz_store *store, struct blockz_fault *fault)
{
	uint64_t len;
	int error = store->ops->journal_find(store->ctx, &len);
	if (error == ENOENT)
		return BLOCKZ_OK;
	if (error != 0 && error != EPERM && error != EINVAL)
		return fault_errno(fault, error, BLOCKZ_UNKNOWN, "looking for a journal");
	fault_set(fault, BLOCKZ_NEEDS_RECOVERY, BLOCKZ_UNKNOWN, "the journal of an interrupted edit is there");
	return fault_state(fault, BLOCKZ_NEEDS_RECOVERY, BLOCKZ_IMAGE_NEEDS_RECOVERY);
}

enum blockz_status journal_drop(const struct blockz_store *store, enum blockz_state state,
				struct blockz_fault *fault)
{
	int error = store->ops->journal_remove(store->ctx);
	if (error == 0)
		return BLOCKZ_OK;
	uint64_t len;
	bool gone = store->ops->journal_find(store->ctx, &len) == ENOENT;
	fault_errno(fault, error, BLOCKZ_UNKNOWN, gone ? "sync of the journal's directory" : "removing the journal");
	return fault_state(fault, BLOCKZ_FAILED, gone ? state : BLOCKZ_IMAGE_NEEDS_RECOVERY);
}

/* ---- Writing ---- */

struct journal_writer {
	const struct blockz_store *store;
	XXH64_state_t *sum;
	uint64_t off; /* of the buffer in the journal */
	size_t len;
	uint8_t buffer[BUFFER_RECORDS * JOURNAL_RECORD_LEN];
};

static enum blockz_status flush_records(struct journal_writer *writer, struct blockz_fault *fault)
{
	int error = writer->store->ops->journal_write(writer->store->ctx, writer->buffer, writer->len, writer->off);
	if (error != 0)
		return fault_errno(fault, error, BLOCKZ_UNKNOWN, "writing the journal");
	writer->off += writer->len;
	writer->len = 0;
	return BLOCKZ_OK;
}

enum blockz_status journal_writer_new(const struct blockz_store *store, const struct journal_header *header,
				      struct journal_writer **writer_ret, struct blockz_fault *fault)
{
	struct journal_writer *writer = calloc(1, sizeof(*writer));
	XXH64_state_t *sum = XXH64_createState();
	if (writer == NULL || sum == NULL) {
		free(writer);
		XXH64_freeState(sum);
		return fault_nomem(fault);
	}
	writer->store = store;
	writer->sum = sum;
	writer->len = JOURNAL_HEADER_LEN;
	journal_header_store(writer->buffer, JOURNAL_PATCH, header);
	XXH64_reset(sum, 0);
	XXH64_update(sum, writer->buffer, JOURNAL_HEADER_LEN);
	*writer_ret = writer;
	return BLOCKZ_OK;
}

void journal_writer_free(struct journal_writer *writer)
{
	if (writer == NULL)
		return;
	XXH64_freeState(writer->sum);
	free(writer);
}

enum blockz_status journal_put(struct journal_writer *writer, const struct journal_record *record,
			       struct blockz_fault *fault)
{
	/* There is always room for the checksum. */
	if (writer->len + JOURNAL_RECORD_LEN + JOURNAL_SUM_LEN > sizeof(writer->buffer)) {
		enum blockz_status status = flush_records(writer, fault);
		if (status != BLOCKZ_OK)
			return status;
	}
	uint8_t *p = writer->buffer + writer->len;
	store_le64(p, record->file_off);
	memcpy(p + 8, record->old, JOURNAL_SECTOR);
	memcpy(p + 8 + JOURNAL_SECTOR, record->new, JOURNAL_SECTOR);
	XXH64_update(writer->sum, p, JOURNAL_RECORD_LEN);
	writer->len += JOURNAL_RECORD_LEN;
	return BLOCKZ_OK;
}

enum blockz_status journal_finish(struct journal_writer *writer, struct blockz_fault *fault)
{
	store_le64(writer->buffer + writer->len, XXH64_digest(writer->sum));
	writer->len += JOURNAL_SUM_LEN;
	return flush_records(writer, fault);
}

/* ---- Reading ---- */

struct reading {
	const struct blockz_store *store;
	journal_visit visit;
	void *ctx;
	size_t record_len;
	uint64_t next; /* the least offset that the next record may have */
	XXH64_state_t *sum;
	uint8_t *buffer;
};

static struct journal_record load_record(const struct reading *self, const uint8_t *p)
{
	if (self->record_len == JOURNAL_RECORD_LEN_1)
		return (struct journal_record){ .file_off = load_le64(p), .old = p + 24, .new_digest = load_le64(p + 16) };
	return (struct journal_record){ .file_off = load_le64(p), .old = p + 8, .new = p + 8 + JOURNAL_SECTOR };
}

/* In version 1 the digest of the old content is kept as well, and has to speak of what is kept. */
static bool digest_lies(const struct reading *self, const uint8_t *p, size_t len)
{
	return self->record_len == JOURNAL_RECORD_LEN_1 && journal_digest(p + 24, len) != load_le64(p + 8);
}

static enum blockz_status visit_records(struct reading *self, uint64_t count, struct blockz_fault *fault)
{
	uint64_t file_size = self->store->size;
	enum blockz_status status = BLOCKZ_OK;
	for (uint64_t i = 0; i < count && status == BLOCKZ_OK; i++) {
		const uint8_t *p = self->buffer + i * self->record_len;
		struct journal_record record = load_record(self, p);
		if (record.file_off < self->next || record.file_off % JOURNAL_SECTOR != 0 || record.file_off >= file_size)
			return journal_damaged(fault, "a record does not lie in the file, or not behind the one before");
		if (digest_lies(self, p, journal_sector_len(record.file_off, file_size)))
			return journal_damaged(fault, "a record's content is not what its digest says");
		self->next = record.file_off + JOURNAL_SECTOR;
		status = self->visit(self->ctx, &record, fault);
	}
	return status;
}

/* Reads len bytes of the journal into the buffer, and sums them. */
static enum blockz_status read_summed(struct reading *self, size_t len, uint64_t off, struct blockz_fault *fault)
{
	enum blockz_status status = journal_read_part(self->store, self->buffer, len, off, fault);
	if (status == BLOCKZ_OK)
		XXH64_update(self->sum, self->buffer, len);
	return status;
}

static bool count_fits(const struct reading *self, uint64_t count, uint64_t len)
{
	uint64_t records = len - JOURNAL_HEADER_LEN - JOURNAL_SUM_LEN;
	return records % self->record_len == 0 && records / self->record_len == count;
}

static enum blockz_status read_records(struct reading *self, uint64_t len, const struct journal_header *header,
				       struct blockz_fault *fault)
{
	enum blockz_status status;
	uint64_t off = JOURNAL_HEADER_LEN;
	self->record_len = header->version == PATCH_VERSION ? JOURNAL_RECORD_LEN : JOURNAL_RECORD_LEN_1;
	if (header->kind != JOURNAL_PATCH || !count_fits(self, header->count, len))
		return journal_damaged(fault, "its length does not fit its count of records");
	XXH64_reset(self->sum, 0);
	XXH64_update(self->sum, header->bytes, JOURNAL_HEADER_LEN);
	for (uint64_t left = header->count, part; left > 0; left -= part) {
		part = left < BUFFER_RECORDS ? left : BUFFER_RECORDS;
		status = read_summed(self, (size_t)part * self->record_len, off, fault);
		if (status != BLOCKZ_OK)
			return status;
		status = visit_records(self, part, fault);
		if (status != BLOCKZ_OK)
			return status;
		off += part * self->record_len;
	}
	status = journal_read_part(self->store, self->buffer, JOURNAL_SUM_LEN, off, fault);
	if (status != BLOCKZ_OK)
		return status;
	if (load_le64(self->buffer) != XXH64_digest(self->sum))
		return journal_damaged(fault, "its checksum does not match");
	return BLOCKZ_OK;
}

enum blockz_status journal_read(const struct blockz_store *store, uint64_t len, const struct journal_header *header,
				journal_visit visit, void *ctx, struct blockz_fault *fault)
{
	struct reading self = {
		.store = store, .visit = visit, .ctx = ctx,
		.sum = XXH64_createState(), .buffer = malloc((size_t)BUFFER_RECORDS * JOURNAL_RECORD_LEN),
	};
	enum blockz_status status = self.buffer == NULL || self.sum == NULL ? fault_nomem(fault)
									      : read_records(&self, len, header, fault);
	XXH64_freeState(self.sum);
	free(self.buffer);
	return status;
}

/* ---- Ends ---- */

static uint64_t last_off(const struct journal_ends *ends)
{
	return ends->file_size - ends->last_len;
}

enum blockz_status journal_ends_read(struct journal_ends *ends, const struct blockz_store *store,
				     struct blockz_fault *fault)
{
	ends->file_size = store->size;
	ends->first_len = ends->last_len = store->size < JOURNAL_ENDS ? (size_t)store->size : JOURNAL_ENDS;
	size_t first = 0, last = 0;
	int error = store->ops->read(store->ctx, ends->first, ends->first_len, 0, &first);
	if (error == 0)
		error = store->ops->read(store->ctx, ends->last, ends->last_len, last_off(ends), &last);
	if (error != 0)
		return fault_errno(fault, error, BLOCKZ_UNKNOWN, "read");
	if (first < ends->first_len || last < ends->last_len)
		return fault_set(fault, BLOCKZ_FAILED, first, "file is shorter than it was when it was opened");
	return BLOCKZ_OK;
}

static void blank_part(uint8_t *bytes, uint64_t off, size_t len, uint64_t start, uint64_t end)
{
	if (start < off)
		start = off;
	if (end > off + len)
		end = off + len;
	if (start < end)
		memset(bytes + (start - off), 0, (size_t)(end - start));
}

void journal_ends_blank(struct journal_ends *ends, uint64_t start, uint64_t end)
{
	blank_part(ends->first, 0, ends->first_len, start, end);
	blank_part(ends->last, last_off(ends), ends->last_len, start, end);
}

uint64_t journal_ends_digest(const struct journal_ends *ends)
{
	uint8_t digests[16];
	store_le64(digests, journal_digest(ends->first, ends->first_len));
	store_le64(digests + 8, journal_digest(ends->last, ends->last_len));
	return journal_digest(digests, sizeof(digests));
}
