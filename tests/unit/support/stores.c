/* SPDX-License-Identifier: BSD-3-Clause */
/* Every operation takes one step, which is recorded, and has a fate. */
#include "stores.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "random.h"

/* An assertion without a trace of its passing: that would allocate memory, and cost a system call each time. */
static void require(bool good, const char *what)
{
	if (!good)
		ck_abort_msg("%s", what);
}

/* What becomes of an operation. */
enum fate { DONE, IGNORED, FAILS, CUT_OFF, DEAD };

static void *grown(void *items, size_t count, size_t *room, size_t item_size)
{
	if (count < *room)
		return items;
	*room = *room == 0 ? 256 : 2 * *room;
	items = realloc(items, *room * item_size);
	require(items != NULL, "no memory");
	return items;
}

static bool changes_nothing(enum store_op op)
{
	return op == STORE_READ || op == STORE_JOURNAL_READ || op == STORE_JOURNAL_FIND;
}

/* The fate that a power that is shared has in store; DONE if it has none. */
static enum fate step_of_power(struct memory_power *power, enum store_op op)
{
	if (power == NULL || power->dead)
		return power == NULL ? DONE : DEAD;
	if (changes_nothing(op) || ++power->steps != power->cut_at)
		return DONE;
	power->dead = true;
	return CUT_OFF;
}

static enum fate step(struct memory_store *self, enum store_op op, uint64_t off, uint64_t len)
{
	self->steps = grown(self->steps, self->step_count, &self->step_room, sizeof(*self->steps));
	self->steps[self->step_count++] = (struct store_step){ op, off, len };
	size_t n = self->step_count;
	if (self->dead)
		return DEAD;
	enum fate shared = step_of_power(self->power, op);
	if (shared != DONE)
		return shared;
	if (n == self->cut_at) {
		self->dead = true;
		return CUT_OFF;
	}
	if (n == self->fail_at || n == self->fail_again_at ||
	    (self->fail_from_then_on && self->fail_at != 0 && n > self->fail_at))
		return FAILS;
	return self->ignored & 1U << op ? IGNORED : DONE;
}

static int answer(const struct memory_store *self, enum fate fate)
{
	if (fate == DONE || fate == IGNORED)
		return 0;
	return fate == FAILS && self->error != 0 ? self->error : EIO;
}

/* ---- Files whose writes become durable later ---- */

/* bytes NULL: zeros. */
static void file_set(struct memory_file *file, const uint8_t *bytes, size_t len)
{
	size_t room = (len + STORE_SECTOR - 1) / STORE_SECTOR * STORE_SECTOR;
	if (room > file->room) {
		file->seen = realloc(file->seen, room);
		file->durable = realloc(file->durable, room);
		require(file->seen != NULL && file->durable != NULL, "no memory");
		file->room = room;
	}
	if (file->room > 0) {
		memset(file->seen, 0, file->room);
		if (bytes != NULL)
			memcpy(file->seen, bytes, len);
		memcpy(file->durable, file->seen, file->room);
	}
	file->size = file->durable_size = len;
	file->pending_count = 0;
}

static void file_free(struct memory_file *file)
{
	free(file->seen);
	free(file->durable);
	free(file->pending);
	*file = (struct memory_file){ 0 };
}

static void file_write(struct memory_file *file, const uint8_t *bytes, size_t len, uint64_t off)
{
	require(off <= file->size && len <= file->size - off, "a write beyond the end");
	if (len == 0)
		return;
	memcpy(file->seen + off, bytes, len);
	for (uint64_t sector = off / STORE_SECTOR * STORE_SECTOR; sector < off + len; sector += STORE_SECTOR) {
		file->pending = grown(file->pending, file->pending_count, &file->pending_room, sizeof(*file->pending));
		struct store_sector *pending = &file->pending[file->pending_count++];
		pending->off = sector;
		pending->given_up = false;
		memcpy(pending->bytes, file->seen + sector, STORE_SECTOR);
	}
}

static bool written_again(const struct memory_file *file, size_t i)
{
	for (size_t k = i + 1; k < file->pending_count; k++)
		if (file->pending[k].off == file->pending[i].off && !file->pending[k].given_up)
			return true;
	return false;
}

static void file_sync(struct memory_file *file)
{
	size_t kept = 0;
	file->durable_size = file->size;
	for (size_t i = 0; i < file->pending_count; i++) {
		struct store_sector *pending = &file->pending[i];
		if (!pending->given_up)
			memcpy(file->durable + pending->off, pending->bytes, STORE_SECTOR);
		else if (!written_again(file, i))
			file->pending[kept++] = *pending;
	}
	file->pending_count = kept;
}

static void file_give_up(struct memory_file *file)
{
	for (size_t i = 0; i < file->pending_count; i++)
		file->pending[i].given_up = true;
}

static void file_cut(struct memory_file *file, enum store_cut cut)
{
	size_t prefix = (size_t)rnd_below(file->pending_count + 1);
	for (size_t i = 0; i < file->pending_count; i++) {
		bool kept = cut == STORE_CUT_KEEP || (cut == STORE_CUT_PREFIX && i < prefix) ||
			    (cut == STORE_CUT_RANDOM && rnd_below(2) == 0);
		if (kept)
			memcpy(file->durable + file->pending[i].off, file->pending[i].bytes, STORE_SECTOR);
	}
	if (cut == STORE_CUT_KEEP || (cut != STORE_CUT_LOSE && rnd_below(2) == 0))
		file->durable_size = file->size;
	file->size = file->durable_size;
	file->pending_count = 0;
	if (file->room > 0)
		memcpy(file->seen, file->durable, file->room);
}

/* ---- The file ---- */

static int read_from(struct memory_store *self, const struct memory_file *file, enum store_op op, void *buf, size_t len,
		     uint64_t off, size_t *got_ret)
{
	enum fate fate = step(self, op, off, len);
	size_t left = off < file->size ? file->size - (size_t)off : 0, got = len < left ? len : left;
	bool half = fate == FAILS && self->error == 0;
	if (half)
		got /= 2;
	if (answer(self, fate) != 0 && !half)
		return answer(self, fate);
	if (got > 0)
		memcpy(buf, file->seen + off, got);
	*got_ret = got;
	return 0;
}

/* A write that fails has written some of its bytes. */
static int write_to(struct memory_store *self, struct memory_file *file, enum store_op op, const void *buf, size_t len,
		    uint64_t off)
{
	enum fate fate = step(self, op, off, len);
	if (fate != DEAD && fate != IGNORED)
		file_write(file, buf, fate == FAILS ? (size_t)rnd_below(len + 1) : len, off);
	return answer(self, fate);
}

static int sync_of(struct memory_store *self, struct memory_file *file, enum store_op op)
{
	enum fate fate = step(self, op, 0, 0);
	if (fate == DONE)
		file_sync(file);
	else if (fate == FAILS)
		file_give_up(file);
	return answer(self, fate);
}

static int store_read(void *ctx, void *buf, size_t len, uint64_t off, size_t *got_ret)
{
	struct memory_store *self = ctx;
	return read_from(self, &self->file, STORE_READ, buf, len, off, got_ret);
}

static int store_write(void *ctx, const void *buf, size_t len, uint64_t off)
{
	struct memory_store *self = ctx;
	return write_to(self, &self->file, STORE_WRITE, buf, len, off);
}

static int store_sync(void *ctx)
{
	struct memory_store *self = ctx;
	return sync_of(self, &self->file, STORE_SYNC);
}

/* ---- The journal ---- */

static enum journal_name name_of(const struct memory_store *self)
{
	return self->names[self->name_count - 1];
}

/* Takes a step that gives the journal another name, or none. */
static int name_step(struct memory_store *self, enum store_op op, enum journal_name name)
{
	enum fate fate = step(self, op, 0, 0);
	if (fate == DONE || fate == CUT_OFF) {
		require(self->name_count < sizeof(self->names) / sizeof(self->names[0]), "too many names");
		self->names[self->name_count++] = name;
	}
	return answer(self, fate);
}

static int sync_directory(struct memory_store *self)
{
	enum fate fate = step(self, STORE_DIRECTORY_SYNC, 0, 0);
	if (fate == DONE) {
		file_free(&self->replaced);
		self->names[0] = name_of(self);
		self->name_count = 1;
	}
	return answer(self, fate);
}

static int journal_create(void *ctx, uint64_t len)
{
	struct memory_store *self = ctx;
	require(name_of(self) == JOURNAL_NONE, "a second journal");
	int error = name_step(self, STORE_JOURNAL_CREATE, JOURNAL_TEMPORARY);
	if (error != 0)
		return error;
	file_set(&self->journal, NULL, 0);
	enum fate fate = step(self, STORE_JOURNAL_RESERVE, 0, len);
	if (fate == DONE || fate == CUT_OFF) {
		file_set(&self->journal, NULL, (size_t)len);
		self->journal.durable_size = 0;
	}
	return answer(self, fate);
}

static int journal_write(void *ctx, const void *buf, size_t len, uint64_t off)
{
	struct memory_store *self = ctx;
	return write_to(self, &self->journal, STORE_JOURNAL_WRITE, buf, len, off);
}

static int journal_publish(void *ctx)
{
	struct memory_store *self = ctx;
	require(name_of(self) == JOURNAL_TEMPORARY, "no journal to publish");
	int error = sync_of(self, &self->journal, STORE_JOURNAL_SYNC);
	if (error == 0)
		error = name_step(self, STORE_JOURNAL_RENAME, JOURNAL_PUBLISHED);
	return error == 0 ? sync_directory(self) : error;
}

static int journal_sync(void *ctx)
{
	struct memory_store *self = ctx;
	require(name_of(self) == JOURNAL_PUBLISHED, "no journal to sync");
	return sync_of(self, &self->journal, STORE_JOURNAL_SYNC);
}

static int journal_discard(void *ctx)
{
	struct memory_store *self = ctx;
	switch (name_of(self)) {
	case JOURNAL_TEMPORARY:
		return name_step(self, STORE_TEMPORARY_UNLINK, JOURNAL_NONE);
	case JOURNAL_PUBLISHED:
		return name_step(self, STORE_JOURNAL_UNLINK, JOURNAL_NONE);
	default:
		return 0;
	}
}

static int journal_find(void *ctx, uint64_t *len_ret)
{
	struct memory_store *self = ctx;
	enum fate fate = step(self, STORE_JOURNAL_FIND, 0, 0);
	if (answer(self, fate) != 0)
		return answer(self, fate);
	if (name_of(self) != JOURNAL_PUBLISHED)
		return ENOENT;
	if (self->untrusted != 0)
		return self->untrusted;
	*len_ret = self->journal.size;
	return 0;
}

static int journal_read(void *ctx, void *buf, size_t len, uint64_t off, size_t *got_ret)
{
	struct memory_store *self = ctx;
	return read_from(self, &self->journal, STORE_JOURNAL_READ, buf, len, off, got_ret);
}

static int journal_remove(void *ctx)
{
	struct memory_store *self = ctx;
	int error = name_step(self, STORE_JOURNAL_UNLINK, JOURNAL_NONE);
	return error == 0 ? sync_directory(self) : error;
}

/* ---- Another file in its place ---- */

int memory_store_rename_over(struct memory_store *self, const uint8_t *bytes, size_t len)
{
	enum fate fate = step(self, STORE_RENAME, 0, len);
	if (fate == DONE || fate == CUT_OFF) {
		file_free(&self->replaced);
		self->replaced = self->file;
		self->file = (struct memory_file){ 0 };
		file_set(&self->file, bytes, len);
	}
	return answer(self, fate);
}

int memory_store_sync_directory(struct memory_store *self)
{
	return sync_directory(self);
}

/* The name may mean the one or the other file when the power is back. */
static void cut_rename(struct memory_store *self, enum store_cut cut)
{
	struct memory_file old = self->replaced;
	self->replaced = (struct memory_file){ 0 };
	if (old.room > 0 && cut != STORE_CUT_KEEP && (cut == STORE_CUT_LOSE || rnd_below(2) == 0)) {
		file_free(&self->file);
		self->file = old;
	} else {
		file_free(&old);
	}
}

/* ---- The whole ---- */

void memory_store_rewind(struct memory_store *self)
{
	self->step_count = self->fail_at = self->fail_again_at = self->cut_at = 0;
	self->fail_from_then_on = self->dead = false;
	self->untrusted = 0;
	self->ignored = 0;
	self->error = EIO;
}

void memory_store_reset(struct memory_store *self, const uint8_t *bytes, size_t len)
{
	file_free(&self->replaced);
	file_set(&self->file, bytes, len);
	file_set(&self->journal, NULL, 0);
	self->names[0] = JOURNAL_NONE;
	self->name_count = 1;
	self->identity = (struct blockz_identity){ .inode = 11, .birth_sec = 12, .birth_nsec = 13 };
	memory_store_rewind(self);
}

void memory_store_init(struct memory_store *self, const uint8_t *bytes, size_t len)
{
	*self = (struct memory_store){ 0 };
	memory_store_reset(self, bytes, len);
}

void memory_store_free(struct memory_store *self)
{
	file_free(&self->file);
	file_free(&self->replaced);
	file_free(&self->journal);
	free(self->steps);
	self->steps = NULL;
}

struct blockz_store memory_store(struct memory_store *self)
{
	static const struct blockz_store_ops ops = {
		.read = store_read, .write = store_write, .sync = store_sync,
		.journal_create = journal_create, .journal_write = journal_write, .journal_publish = journal_publish,
		.journal_sync = journal_sync, .journal_discard = journal_discard, .journal_find = journal_find, .journal_read = journal_read,
		.journal_remove = journal_remove,
	};
	return (struct blockz_store){ .ops = &ops, .ctx = self, .size = self->file.size, .identity = self->identity };
}

void memory_store_cut(struct memory_store *self, enum store_cut cut)
{
	size_t kept = cut == STORE_CUT_LOSE ? 0 : cut == STORE_CUT_KEEP ? self->name_count - 1
									: (size_t)rnd_below(self->name_count);
	self->names[0] = self->names[kept];
	self->name_count = 1;
	cut_rename(self, cut);
	file_cut(&self->file, cut);
	file_cut(&self->journal, cut);
	memory_store_rewind(self);
}

void memory_store_reopen(struct memory_store *self)
{
	self->names[0] = name_of(self) == JOURNAL_TEMPORARY ? JOURNAL_NONE : name_of(self);
	self->name_count = 1;
	memory_store_rewind(self);
}

bool memory_store_has_journal(const struct memory_store *self)
{
	return name_of(self) == JOURNAL_PUBLISHED;
}

void memory_store_put_journal(struct memory_store *self, const uint8_t *bytes, size_t len)
{
	file_set(&self->journal, bytes, len);
	self->names[0] = JOURNAL_PUBLISHED;
	self->name_count = 1;
}

size_t memory_store_count(const struct memory_store *self, enum store_op op)
{
	size_t count = 0;
	for (size_t i = 0; i < self->step_count; i++)
		if (self->steps[i].op == op)
			count++;
	return count;
}
