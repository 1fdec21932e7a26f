/* SPDX-License-Identifier: BSD-3-Clause */
/* A directory of a test's own, with one file in it that a transaction is to change. */
#ifndef SCRATCH_H
#define SCRATCH_H

#include <limits.h>

#include "transactions.h"

#define SCRATCH_NAME "disk.gz"
#define SCRATCH_JOURNAL "." SCRATCH_NAME ".blockz-journal"
#define SCRATCH_TEMPORARY SCRATCH_JOURNAL ".tmp"

struct scratch {
	int dir; /* descriptor */
	char path[PATH_MAX];
	struct sample sample; /* the file holds its old bytes */
	int descriptors;      /* how many were open */
	struct blockz_store store;
	struct blockz_fault fault; /* of the last call */
};

void scratch_init(struct scratch *self);

/* Removes it all, after it has seen that no descriptor was left open. */
void scratch_free(struct scratch *self);

void scratch_write(const struct scratch *self, const char *name, const uint8_t *bytes, size_t len);
bool scratch_holds(const struct scratch *self, const char *name, const uint8_t *bytes, size_t len);
bool scratch_is_old(const struct scratch *self); /* the file, by its name */
bool scratch_is_new(const struct scratch *self);
bool scratch_exists(const struct scratch *self, const char *name);
int scratch_entries(const struct scratch *self); /* how many names there are */

/* Opens the file as self->store. */
enum blockz_status scratch_open(struct scratch *self, enum blockz_store_mode mode);

/* Opens and closes it, or fails the test. */
void scratch_assert_opens(struct scratch *self, enum blockz_store_mode mode);
void scratch_assert_refused(struct scratch *self, enum blockz_store_mode mode, enum blockz_status expected);

#endif
