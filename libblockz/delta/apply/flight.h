/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Memory of what is under way: how much of it there may be at once, and whether any of it has failed.  Only numbers: who
 * enters has the memory itself.
 */
#ifndef DELTA_APPLY_FLIGHT_H
#define DELTA_APPLY_FLIGHT_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

enum {
	FLIGHT_LONG_AT_ONCE = 2, /* so many threads, if there are, have something long at once, however long that is */
	FLIGHT_MADE_MAX = 16 << 20, /* beside that, bytes of what was made of something long and waits for its turn */
};

struct flight {
	pthread_mutex_t lock; /* of all below */
	pthread_cond_t changed;
	unsigned threads;
	uint64_t used; /* bytes, */
	uint64_t made; /* and those of them that wait for their turn */
	uint64_t longest; /* the most that one has cost so far: there is room for others that are shorter */
	bool failed;
};

void flight_init(struct flight *flight, unsigned threads);
void flight_destroy(struct flight *flight);

/*
 * Adds cost bytes, if there is room for them; with may_wait it waits for that.  Returns false where there is none, or
 * something has failed, so that what follows is of no use.  Any thread may call it, one at a time with may_wait.
 */
bool flight_enter(struct flight *flight, uint64_t cost, bool may_wait);

/*
 * Takes spare bytes away, of which there is no more need; of the others that were added with them, made bytes now wait for their
 * turn.  Any thread may call it.
 */
void flight_wait(struct flight *flight, uint64_t spare, uint64_t made);

/* Takes cost bytes away that were added, of which made waited.  failed: nothing more will enter.  Any thread may call it. */
void flight_leave(struct flight *flight, uint64_t cost, uint64_t made, bool failed);

#endif
