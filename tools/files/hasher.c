/* SPDX-License-Identifier: BSD-3-Clause */
/* A ring of parts: the caller fills one while the thread hashes those before it. */
#include "files/hasher.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { PART = 256 * 1024, PARTS = 8 };

struct hasher {
	EVP_MD_CTX *context;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t moved;
	size_t filled, hashed; /* parts, ever; under the lock */
	bool ended;            /* no part will follow; under the lock */
	bool failed;           /* the thread's, until it has ended */
	size_t len;            /* of the part that is being filled */
	size_t lens[PARTS];
	unsigned char parts[PARTS][PART];
};

/* False: there will be no more. */
static bool wait_for_part(struct hasher *self)
{
	pthread_mutex_lock(&self->lock);
	while (self->hashed == self->filled && !self->ended)
		pthread_cond_wait(&self->moved, &self->lock);
	bool is_there = self->hashed < self->filled;
	pthread_mutex_unlock(&self->lock);
	return is_there;
}

static void wait_for_room(struct hasher *self)
{
	pthread_mutex_lock(&self->lock);
	while (self->filled - self->hashed == PARTS)
		pthread_cond_wait(&self->moved, &self->lock);
	pthread_mutex_unlock(&self->lock);
}

static void count_one(struct hasher *self, size_t *count)
{
	pthread_mutex_lock(&self->lock);
	++*count;
	pthread_cond_signal(&self->moved);
	pthread_mutex_unlock(&self->lock);
}

static void *hash_parts(void *ctx)
{
	struct hasher *self = ctx;
	while (wait_for_part(self)) {
		size_t at = self->hashed % PARTS;
		if (EVP_DigestUpdate(self->context, self->parts[at], self->lens[at]) != 1)
			self->failed = true;
		count_one(self, &self->hashed);
	}
	return NULL;
}

struct hasher *hasher_start(EVP_MD_CTX *context)
{
	struct hasher *self = malloc(sizeof(*self));
	if (self == NULL)
		return NULL;
	self->context = context;
	self->filled = self->hashed = self->len = 0;
	self->ended = self->failed = false;
	pthread_mutex_init(&self->lock, NULL);
	pthread_cond_init(&self->moved, NULL);
	if (pthread_create(&self->thread, NULL, hash_parts, self) == 0)
		return self;
	free(self);
	return NULL;
}

static void hand_over(struct hasher *self)
{
	self->lens[self->filled % PARTS] = self->len;
	self->len = 0;
	count_one(self, &self->filled);
}

void hasher_update(struct hasher *self, const void *buf, size_t len)
{
	const unsigned char *bytes = buf;
	while (len > 0) {
		size_t room = PART - self->len, part = len < room ? len : room;
		if (self->len == 0)
			wait_for_room(self);
		memcpy(self->parts[self->filled % PARTS] + self->len, bytes, part);
		self->len += part;
		bytes += part;
		len -= part;
		if (self->len == PART)
			hand_over(self);
	}
}

static void tell_end(struct hasher *self)
{
	pthread_mutex_lock(&self->lock);
	self->ended = true;
	pthread_cond_signal(&self->moved);
	pthread_mutex_unlock(&self->lock);
}

bool hasher_end(struct hasher *self)
{
	if (self->len > 0)
		hand_over(self);
	tell_end(self);
	pthread_join(self->thread, NULL);
	bool is_whole = !self->failed;
	pthread_cond_destroy(&self->moved);
	pthread_mutex_destroy(&self->lock);
	free(self);
	return is_whole;
}
