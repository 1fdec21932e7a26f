/* SPDX-License-Identifier: BSD-3-Clause */
#include "io/journal.h"

#include <errno.h>
#include <stdlib.h>
#include <xxhash.h>

#include "base/bytes.h"
#include "base/fault.h"

enum {
	VERSION = 1,
	BUFFER_RECORDS = 2048, /* about 1 MiB */
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

/* ---- Of both kinds ---- */

void journal_header_store(uint8_t *p, enum journal_kind kind, const struct journal_header *header)
{
	memset(p, 0, JOURNAL_HEADER_LEN);
	memcpy(p, magic, sizeof(magic));
	store_le32(p + 8, VERSION);
	store_le32(p + 12, kind);
	store_le64(p + 16, header->file_size);
	store_le64(p + 24, header->identity.inode);
	store_le64(p + 32, (uint64_t)header->identity.birth_sec);
	store_le32(p + 40, header->identity.birth_nsec);
	store_le64(p + 48, header->count);
	store_le64(p + 56, header->ends);
}

enum blockz_status journal_damaged(struct blockz_fault *fault, const char *what)
{
	return fault_set(fault, BLOCKZ_NEEDS_RECOVERY, BLOCKZ_UNKNOWN, "journal: %s; it is left as it is", what);
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

enum blockz_status journal_read_header(const struct blockz_store *store, uint64_t len, enum journal_kind *kind_ret,
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
	uint32_t kind = load_le32(p + 12);
	if (load_le32(p + 8) != VERSION || (kind != JOURNAL_PATCH && kind != JOURNAL_INTENT))
		return journal_damaged(fault, "of a version or kind that this program does not know");
	*kind_ret = (enum journal_kind)kind;
	*header_ret = (struct journal_header){
		.file_size = load_le64(p + 16),
		.identity = { load_le64(p + 24), (int64_t)load_le64(p + 32), load_le32(p + 40) },
		.count = load_le64(p + 48),
		.ends = load_le64(p + 56),
	};
	if (header_ret->file_size != store->size)
		return journal_damaged(fault, "made for a file of another size");
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
	if (error != 0 && error != EPERM)
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

static enum blockz_status flush(struct journal_writer *writer, struct blockz_fault *fault)
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
	if (writer->len + JOURNAL_RECORD_LEN > sizeof(writer->buffer)) {
		enum blockz_status status = flush(writer, fault);
		if (status != BLOCKZ_OK)
			return status;
	}
	uint8_t *p = writer->buffer + writer->len;
	store_le64(p, record->file_off);
	store_le64(p + 8, record->old_digest);
	store_le64(p + 16, record->new_digest);
	memcpy(p + 24, record->content, JOURNAL_SECTOR);
	XXH64_update(writer->sum, p, JOURNAL_RECORD_LEN);
	writer->len += JOURNAL_RECORD_LEN;
	return BLOCKZ_OK;
}

enum blockz_status journal_finish(struct journal_writer *writer, struct blockz_fault *fault)
{
	if (writer->len + JOURNAL_SUM_LEN > sizeof(writer->buffer)) {
		enum blockz_status status = flush(writer, fault);
		if (status != BLOCKZ_OK)
			return status;
	}
	store_le64(writer->buffer + writer->len, XXH64_digest(writer->sum));
	writer->len += JOURNAL_SUM_LEN;
	return flush(writer, fault);
}

/* ---- Reading ---- */

/* Shows the records in bytes to visit; *next is the least offset that the first of them may have. */
static enum blockz_status visit_records(const uint8_t *bytes, uint64_t count, uint64_t file_size, uint64_t *next,
					journal_visit visit, void *ctx, struct blockz_fault *fault)
{
	enum blockz_status status = BLOCKZ_OK;
	for (uint64_t i = 0; i < count && status == BLOCKZ_OK; i++) {
		const uint8_t *p = bytes + i * JOURNAL_RECORD_LEN;
		struct journal_record record = { load_le64(p), load_le64(p + 8), load_le64(p + 16), p + 24 };
		if (record.file_off < *next || record.file_off % JOURNAL_SECTOR != 0 || record.file_off >= file_size)
			return journal_damaged(fault, "a record does not lie in the file, or not behind the one before");
		/* What tells a sector of a copy from a stranger's is its digest, so that has to speak of what is kept. */
		if (journal_digest(record.content, journal_sector_len(record.file_off, file_size)) != record.old_digest)
			return journal_damaged(fault, "a record's content is not what its digest says");
		*next = record.file_off + JOURNAL_SECTOR;
		status = visit(ctx, &record, fault);
	}
	return status;
}

static enum blockz_status read_all(const struct blockz_store *store, uint64_t len, uint8_t *buffer,
				   XXH64_state_t *sum, struct journal_header *header, journal_visit visit, void *ctx,
				   struct blockz_fault *fault)
{
	enum journal_kind kind;
	enum blockz_status status = journal_read_header(store, len, &kind, header, fault);
	if (status == BLOCKZ_OK && (kind != JOURNAL_PATCH || header->count > UINT64_MAX / JOURNAL_RECORD_LEN / 2 ||
				    journal_len(header->count) != len))
		return journal_damaged(fault, "its length does not fit its count of records");
	if (status == BLOCKZ_OK)
		status = journal_read_part(store, buffer, JOURNAL_HEADER_LEN, 0, fault);
	XXH64_reset(sum, 0);
	if (status == BLOCKZ_OK)
		XXH64_update(sum, buffer, JOURNAL_HEADER_LEN);
	uint64_t off = JOURNAL_HEADER_LEN, next = 0;
	for (uint64_t left = header->count; left > 0 && status == BLOCKZ_OK;) {
		uint64_t part = left < BUFFER_RECORDS ? left : BUFFER_RECORDS;
		status = journal_read_part(store, buffer, (size_t)part * JOURNAL_RECORD_LEN, off, fault);
		if (status != BLOCKZ_OK)
			break;
		XXH64_update(sum, buffer, (size_t)part * JOURNAL_RECORD_LEN);
		status = visit_records(buffer, part, store->size, &next, visit, ctx, fault);
		left -= part;
		off += part * JOURNAL_RECORD_LEN;
	}
	if (status == BLOCKZ_OK)
		status = journal_read_part(store, buffer, JOURNAL_SUM_LEN, off, fault);
	if (status == BLOCKZ_OK && load_le64(buffer) != XXH64_digest(sum))
		return journal_damaged(fault, "its checksum does not match");
	return status;
}

enum blockz_status journal_read(const struct blockz_store *store, uint64_t len, struct journal_header *header_ret,
				journal_visit visit, void *ctx, struct blockz_fault *fault)
{
	struct journal_header header = { 0 };
	uint8_t *buffer = malloc((size_t)BUFFER_RECORDS * JOURNAL_RECORD_LEN);
	XXH64_state_t *sum = XXH64_createState();
	enum blockz_status status = buffer == NULL || sum == NULL
					    ? fault_nomem(fault)
					    : read_all(store, len, buffer, sum, &header, visit, ctx, fault);
	XXH64_freeState(sum);
	free(buffer);
	if (status == BLOCKZ_OK)
		*header_ret = header;
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

static void blank(uint8_t *bytes, uint64_t off, size_t len, uint64_t start, uint64_t end)
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
	blank(ends->first, 0, ends->first_len, start, end);
	blank(ends->last, last_off(ends), ends->last_len, start, end);
}

uint64_t journal_ends_digest(const struct journal_ends *ends)
{
	uint8_t digests[16];
	store_le64(digests, journal_digest(ends->first, ends->first_len));
	store_le64(digests + 8, journal_digest(ends->last, ends->last_len));
	return journal_digest(digests, sizeof(digests));
}
