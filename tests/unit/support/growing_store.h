/* SPDX-License-Identifier: BSD-3-Clause */
/* A store in memory that grows as it is written to: for what is planned and not yet written. */
#ifndef GROWING_STORE_H
#define GROWING_STORE_H

#include "blockz.h"

struct growing_store {
	uint8_t *bytes;
	size_t len;
	size_t fail_at; /* this read or write, counted from 1, answers EIO; 0: none */
	_Atomic size_t calls;
};

/* self, zeros at first, must outlive it. */
struct blockz_store growing_store(struct growing_store *self);
void growing_store_free(struct growing_store *self);

#endif
