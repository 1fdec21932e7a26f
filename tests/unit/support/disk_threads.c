/* SPDX-License-Identifier: BSD-3-Clause */
/* A thread checks by itself, and its failure is told when it has ended: Check knows one thread alone. */
#include "disk_threads.h"

uint64_t disk_thread_next(struct disk_thread *self)
{
	self->seed ^= self->seed << 13;
	self->seed ^= self->seed >> 7;
	self->seed ^= self->seed << 17;
	return self->seed;
}

static void *act(void *ctx)
{
	struct disk_thread *self = ctx;
	const struct disk_work *work = self->work;
	for (unsigned i = 0; i < 100 && self->failure == NULL; i++) {
		uint64_t what = disk_thread_next(self) % 32;
		if (what < work->writes)
			work->write_some(self);
		else if (what < work->writes + work->reads || disk_thread_next(self) % 4 != 0)
			work->read_some(self);
		else if (blockz_disk_flush(self->served->disk, NULL) != BLOCKZ_OK)
			self->failure = "a flush";
	}
	return NULL;
}

void disk_threads_run(struct served *served, const struct disk_work *work, unsigned count)
{
	struct disk_thread threads[DISK_THREADS_MAX];
	for (unsigned i = 0; i < count; i++) {
		threads[i] = (struct disk_thread){
			.served = served, .work = work, .number = i, .count = count, .seed = rnd() | 1,
		};
		ck_assert_int_eq(pthread_create(&threads[i].thread, NULL, act, &threads[i]), 0);
	}
	for (unsigned i = 0; i < count; i++) {
		pthread_join(threads[i].thread, NULL);
		ck_assert_msg(threads[i].failure == NULL, "thread %u of %u: %s", i, count, threads[i].failure);
	}
}
