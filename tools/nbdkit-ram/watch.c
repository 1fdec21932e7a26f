/* SPDX-License-Identifier: BSD-3-Clause */
/* The handler notes the signal and wakes the thread. */
#include "watch.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

/* A handler reaches nothing but globals. */
static struct {
	sem_t wake;
	atomic_bool wanted[2], end;
	void (*calls[2])(void);
	pthread_t thread;
	bool started;
} watch;

static const int numbers[2] = { SIGUSR1, SIGUSR2 };

static void on_signal(int number)
{
	int error = errno;
	atomic_store(&watch.wanted[number == numbers[1]], true);
	sem_post(&watch.wake); /* at SEM_VALUE_MAX it fails, and the thread has enough to do */
	errno = error;
}

static int set_handler(void (*handler)(int))
{
	struct sigaction action = { .sa_handler = handler, .sa_flags = SA_RESTART };
	sigemptyset(&action.sa_mask);
	for (size_t i = 0; i < 2; i++)
		if (sigaction(numbers[i], &action, NULL) < 0)
			return errno;
	return 0;
}

int watch_catch(void)
{
	return sem_init(&watch.wake, 0, 0) < 0 ? errno : set_handler(on_signal);
}

static void *answer_signals(void *unused)
{
	(void)unused;
	for (bool end = false; !end;) {
		while (sem_wait(&watch.wake) < 0)
			;
		end = atomic_load(&watch.end); /* before what is wanted: a signal that came before the end is answered */
		for (size_t i = 0; i < 2; i++)
			if (atomic_exchange(&watch.wanted[i], false))
				watch.calls[i]();
	}
	return NULL;
}

int watch_start(void (*first)(void), void (*second)(void))
{
	watch.calls[0] = first;
	watch.calls[1] = second;
	int error = pthread_create(&watch.thread, NULL, answer_signals, NULL);
	watch.started = error == 0;
	return error;
}

void watch_stop(void)
{
	if (!watch.started)
		return;
	atomic_store(&watch.end, true);
	sem_post(&watch.wake);
	pthread_join(watch.thread, NULL);
	watch.started = false;
	set_handler(SIG_IGN);
}
