/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Tells which pieces, by where they are in the image, are worth decoding ahead of a read.  One thread at a time may ask.
 */
#ifndef DISK_AHEAD_H
#define DISK_AHEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	AHEAD_STREAMS = 8, /* sequential reads that are told apart; nbdcopy has 4 connections */
	AHEAD_QUEUE = 8,
};

/* Zeros at first. */
struct ahead {
	uint64_t ends[AHEAD_STREAMS]; /* where the last reads ended */
	unsigned next;
	uint64_t queue[AHEAD_QUEUE]; /* image offsets */
	size_t count;
};

/* True if a read of [off, end) goes on where one of the last ended. */
bool ahead_is_sequential(struct ahead *ahead, uint64_t off, uint64_t end);

/* Queues the piece at an image offset; false if it is there already, or the queue is full. */
bool ahead_push(struct ahead *ahead, uint64_t off);

/* Takes the one that was queued first; false if there is none. */
bool ahead_pop(struct ahead *ahead, uint64_t *off_ret);

#endif
