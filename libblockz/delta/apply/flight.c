/* SPDX-License-Identifier: BSD-3-Clause */
/* What finds nothing under way enters whatever it costs, so that nobody waits for ever. */
#include "delta/apply/flight.h"

#include "base/checked.h"

enum {
	FLIGHT_MIN = 16 << 20, /* bytes under way; more, */
	FLIGHT_MAX = 24 << 20, /* up to this, if that is not one part for each thread */
};

void flight_init(struct flight *flight, unsigned threads)
{
	*flight = (struct flight){ .threads = threads };
	pthread_mutex_init(&flight->lock, NULL);
	pthread_cond_init(&flight->changed, NULL);
}

void flight_destroy(struct flight *flight)
{
	pthread_cond_destroy(&flight->changed);
	pthread_mutex_destroy(&flight->lock);
}

static uint64_t limit_for(const struct flight *flight, uint64_t cost)
{
	uint64_t limit = min(flight->threads * cost, FLIGHT_MAX);
	uint64_t least = min(flight->threads, FLIGHT_LONG_AT_ONCE) * flight->longest;
	least += min(flight->made, FLIGHT_MADE_MAX);
	return max(max(limit, FLIGHT_MIN), least);
}

bool flight_enter(struct flight *flight, uint64_t cost, bool may_wait)
{
	pthread_mutex_lock(&flight->lock);
	flight->longest = max(cost, flight->longest);
	while (may_wait && !flight->failed && flight->used > 0 && flight->used + cost > limit_for(flight, cost))
		pthread_cond_wait(&flight->changed, &flight->lock);
	bool enters = !flight->failed && (may_wait || flight->used + cost <= limit_for(flight, cost));
	if (enters)
		flight->used += cost;
	pthread_mutex_unlock(&flight->lock);
	return enters;
}

void flight_wait(struct flight *flight, uint64_t spare, uint64_t made)
{
	pthread_mutex_lock(&flight->lock);
	flight->used -= spare;
	flight->made += made;
	pthread_cond_broadcast(&flight->changed);
	pthread_mutex_unlock(&flight->lock);
}

void flight_leave(struct flight *flight, uint64_t cost, uint64_t made, bool failed)
{
	pthread_mutex_lock(&flight->lock);
	flight->used -= cost;
	flight->made -= made;
	flight->failed |= failed;
	pthread_cond_broadcast(&flight->changed);
	pthread_mutex_unlock(&flight->lock);
}
