/* SPDX-License-Identifier: BSD-3-Clause */
/* A gate: any number of threads are inside, until one closes it and has what is behind it for itself. */
#ifndef PARALLEL_GATE_H
#define PARALLEL_GATE_H

#include <pthread.h>
#include <stdbool.h>

/* Private. */
struct gate {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	unsigned inside;
	bool closed;
};

/* An open gate, with nobody inside; and its end. */
void gate_init(struct gate *gate);
void gate_destroy(struct gate *gate);

/* Waits while the gate is closed.  A thread enters once, and does not close it from inside. */
void gate_enter(struct gate *gate);
void gate_leave(struct gate *gate);

/* Keeps out those who come, and waits until those inside have left.  Whoever closes it next waits for the opening. */
void gate_close(struct gate *gate);
void gate_open(struct gate *gate);

#endif
