/* SPDX-License-Identifier: BSD-3-Clause */
/* What is kept stands in a list.  What a test has put there is freed when it ends. */
#include "memory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
const bool sanitized = true;
#else
const bool sanitized = false;
#endif

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || defined(FEW_ROUNDS)
const bool few_rounds = true;
#else
const bool few_rounds = false;
#endif

/* ---- Memory ---- */

struct kept {
	struct kept *next;
	max_align_t bytes[];
};

static struct kept *all_kept;

void *keep(size_t len)
{
	struct kept *kept = calloc(1, sizeof(*kept) + len);
	ck_assert_ptr_nonnull(kept);
	kept->next = all_kept;
	all_kept = kept;
	return kept->bytes;
}

const struct kept *kept_so_far(void)
{
	return all_kept;
}

void forget_since(const struct kept *mark)
{
	while (all_kept != mark) {
		struct kept *next = all_kept->next;
		free(all_kept);
		all_kept = next;
	}
}

/* What was kept before a test, for all of them. */
static const struct kept *kept_for_all;

static void begin(void)
{
	kept_for_all = all_kept;
}

static void end(void)
{
	forget_since(kept_for_all);
}

struct bytes bytes_new(size_t len)
{
	return (struct bytes){ keep(len), len };
}

struct bytes bytes_join(struct bytes a, struct bytes b)
{
	struct bytes joined = bytes_new(a.len + b.len);
	if (a.len > 0)
		memcpy(joined.data, a.data, a.len);
	if (b.len > 0)
		memcpy(joined.data + a.len, b.data, b.len);
	return joined;
}

struct bytes bytes_copy(struct bytes bytes)
{
	return bytes_join(bytes, (struct bytes){ bytes.data, 0 });
}

void bytes_append(struct bytes *bytes, size_t *room, const void *more, size_t len)
{
	if (*room - bytes->len < len) {
		*room = 2 * *room + len;
		struct bytes grown = bytes_new(*room);
		if (bytes->len > 0)
			memcpy(grown.data, bytes->data, bytes->len);
		bytes->data = grown.data;
	}
	if (len > 0)
		memcpy(bytes->data + bytes->len, more, len);
	bytes->len += len;
}

struct bytes bytes_flipped(struct bytes bytes, uint64_t bit)
{
	struct bytes flipped = bytes_copy(bytes);
	flipped.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
	return flipped;
}

struct blockz_source bytes_source(struct bytes bytes)
{
	struct blockz_memory *memory = keep(sizeof(*memory));
	*memory = (struct blockz_memory){ bytes.data, bytes.len };
	return blockz_source_memory(memory);
}

bool bytes_differ(struct bytes a, struct bytes b, size_t *off_ret)
{
	size_t common = a.len < b.len ? a.len : b.len, off = 0;
	if (common == 0 || memcmp(a.data, b.data, common) == 0) {
		off = common;
	} else {
		while (a.data[off] == b.data[off])
			off++;
	}
	if (off == a.len && off == b.len)
		return false;
	*off_ret = off;
	return true;
}

bool bytes_are_zero(const uint8_t *data, size_t len)
{
	return len == 0 || (data[0] == 0 && memcmp(data, data + 1, len - 1) == 0);
}

void assert_bytes(struct bytes found, struct bytes expected)
{
	size_t off = 0;
	ck_assert_uint_eq(found.len, expected.len);
	ck_assert_msg(!bytes_differ(found, expected, &off), "byte %zu of %zu differs", off, expected.len);
}

/* ---- Sources, sinks and stores ---- */

static int flaky_read(void *ctx, void *buf, size_t len, uint64_t off, size_t *got_ret)
{
	struct flaky_source *self = ctx;
	if (__atomic_add_fetch(&self->reads, 1, __ATOMIC_RELAXED) == self->fail_at)
		return EIO;
	struct blockz_memory memory = { self->bytes.data, self->bytes.len };
	struct blockz_source source = blockz_source_memory(&memory);
	return source.ops->read(source.ctx, buf, len, off, got_ret);
}

struct blockz_source flaky_source(struct flaky_source *self)
{
	static const struct blockz_source_ops ops = { .read = flaky_read };
	return (struct blockz_source){ &ops, self, self->bytes.len };
}

static int sink_write(void *ctx, const void *buf, size_t len)
{
	struct growing_sink *self = ctx;
	if (++self->calls == self->fail_at)
		return EIO;
	bytes_append(&self->bytes, &self->room, buf, len);
	return 0;
}

static int sink_rewrite(void *ctx, const void *buf, size_t len, uint64_t off)
{
	struct growing_sink *self = ctx;
	if (++self->calls == self->fail_at)
		return EIO;
	ck_assert_uint_le(off, self->bytes.len);
	ck_assert_uint_le(len, self->bytes.len - off);
	memcpy(self->bytes.data + off, buf, len);
	return 0;
}

struct blockz_sink growing_sink(struct growing_sink *self)
{
	static const struct blockz_sink_ops ops = { .write = sink_write };
	return (struct blockz_sink){ &ops, self };
}

struct blockz_sink growing_sink_rewritable(struct growing_sink *self)
{
	static const struct blockz_sink_ops ops = { .write = sink_write, .rewrite = sink_rewrite };
	return (struct blockz_sink){ &ops, self };
}

static int store_read(void *ctx, void *buf, size_t len, uint64_t off, size_t *got_ret)
{
	struct plain_store *self = ctx;
	struct blockz_memory memory = { self->bytes.data, self->bytes.len };
	struct blockz_source source = blockz_source_memory(&memory);
	return source.ops->read(source.ctx, buf, len, off, got_ret);
}

static int store_write(void *ctx, const void *buf, size_t len, uint64_t off)
{
	struct plain_store *self = ctx;
	ck_assert_uint_le(off, self->bytes.len);
	ck_assert_uint_le(len, self->bytes.len - off);
	if (self->log_count == self->log_room) {
		struct store_write *log = keep((2 * self->log_room + 16) * sizeof(*log));
		if (self->log_count > 0)
			memcpy(log, self->log, self->log_count * sizeof(*log));
		self->log = log;
		self->log_room = 2 * self->log_room + 16;
	}
	self->log[self->log_count++] = (struct store_write){ off, len };
	if (self->log_count == self->fail_at)
		return EIO;
	memcpy(self->bytes.data + off, buf, len);
	return 0;
}

static int store_sync(void *ctx)
{
	struct plain_store *self = ctx;
	self->syncs++;
	return 0;
}

struct blockz_store plain_store(struct plain_store *self)
{
	static const struct blockz_store_ops ops = { .read = store_read, .write = store_write, .sync = store_sync };
	return (struct blockz_store){ .ops = &ops, .ctx = self, .size = self->bytes.len };
}

/* ---- Running ---- */

const struct blockz_format *format_of(int i)
{
	return blockz_format_at((size_t)i);
}

const struct blockz_format *format_named(const char *name)
{
	int i = 0;
	while (format_of(i) != NULL && strcmp(format_of(i)->name, name) != 0)
		i++;
	ck_assert_ptr_nonnull(format_of(i));
	return format_of(i);
}

TCase *case_new(const char *name)
{
	TCase *tcase = tcase_create(name);
	tcase_add_checked_fixture(tcase, begin, end);
	tcase_set_timeout(tcase, 300);
	return tcase;
}

void case_add_formats(TCase *tcase, const TTest *test)
{
	int count = 0;
	while (format_of(count) != NULL)
		count++;
	tcase_add_loop_test(tcase, test, 0, count);
}

int case_run(const char *name, TCase *tcase)
{
	Suite *suite = suite_create(name);
	suite_add_tcase(suite, tcase);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
