/* SPDX-License-Identifier: BSD-3-Clause */
/* What was told at the last call is kept, to compare it with the next. */
#include "watch.h"

static bool watch_progress(void *ctx, uint64_t image_done, uint64_t file_done)
{
	struct watch *self = ctx;
	self->backwards = self->backwards || image_done < self->image_done || file_done < self->file_done;
	self->still = self->still || image_done == self->image_done;
	self->image_done = image_done;
	self->file_done = file_done;
	return ++self->calls != self->stop_at;
}

struct blockz_work watched_work(struct watch *self, unsigned threads)
{
	return (struct blockz_work){ threads, watch_progress, self };
}

void assert_watched(const struct watch *self, enum blockz_status status, const struct blockz_fault *fault)
{
	ck_assert_int_eq(status, self->calls >= self->stop_at ? BLOCKZ_FAILED : BLOCKZ_OK);
	if (status != BLOCKZ_OK)
		ck_assert_str_eq(fault->text, "interrupted");
	ck_assert_uint_le(self->calls, self->stop_at);
	ck_assert(!self->backwards);
}
