/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Memory that is short: each allocation of an operation fails in turn, alone or with all that follow.
 *
 * The linker puts functions of this between the program and the allocators (see the Makefile); libraries that allocate by
 * themselves get theirs from here, or have their constructors fail.  One thread may work.
 */
#ifndef SHORT_MEMORY_H
#define SHORT_MEMORY_H

#include "memory.h"

struct operation {
	const char *name;
	void (*prepare)(void);
	enum blockz_status (*run)(struct blockz_fault *fault);
	bool (*is_right)(void); /* what it has made; NULL: the status says it all */
	bool (*is_clean)(void); /* after a failure; NULL: there is nothing that could be otherwise */
	bool may_succeed;       /* and be right: what it does for later may fail unseen */
};

/*
 * Runs an operation until no allocation fails any more.  Where one did, its status has to be BLOCKZ_FAILED, and its
 * text to speak of memory.  with: what it works on, for messages.
 */
void fail_allocations(const struct operation *operation, const char *with, bool from_then_on);

/*
 * Before tests are run: of all allocations in a program that are reached by the same calls only the first two fail, for
 * operations that repeat a lot.
 */
void remember_ways(void);

/* A sink that allocates nothing. */
struct fixed_sink {
	struct bytes room;
	size_t len;
};

struct blockz_sink fixed_sink(struct fixed_sink *self);

#endif
