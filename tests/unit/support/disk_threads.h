/* SPDX-License-Identifier: BSD-3-Clause */
/* Threads that read, write and flush a disk at random, against a plain array. */
#ifndef DISK_THREADS_H
#define DISK_THREADS_H

#include <pthread.h>

#include "served.h"

enum { DISK_THREADS_MAX = 8 };

struct disk_thread {
	struct served *served;
	const struct disk_work *work;
	unsigned number, count;
	uint64_t seed;
	pthread_t thread;
	const char *failure; /* NULL: none yet; then the thread ends */
};

/* Of 32 steps so many are writes, and so many are reads; of the rest one in four is a flush, and the others are reads. */
struct disk_work {
	unsigned writes, reads;
	void (*write_some)(struct disk_thread *self);
	void (*read_some)(struct disk_thread *self);
};

/* The thread's own random number, since the test's are not for several threads. */
uint64_t disk_thread_next(struct disk_thread *self);

/* Runs count threads to their end; none of them may fail. */
void disk_threads_run(struct served *served, const struct disk_work *work, unsigned count);

#endif
