/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Parameters of a plugin, KEY=VALUE: a table of them, and values of the kinds that several have.  What is wrong with one is told
 * by nbdkit_error(); then the functions return -1, else 0.
 */
#ifndef SERVERS_PARAMETERS_H
#define SERVERS_PARAMETERS_H

#include "blockz.h"

struct parameter {
	const char *key;
	int (*set)(void *settings, const char *value);
	bool repeatable; /* else it is refused where it is given twice */
};

/*
 * Finds the row of a key, of at most 64, and has it set; *given gets the bit of its index.  Unknown ones are refused.
 * settings: what the rows' functions get.
 */
int parameters_take(const struct parameter *rows, size_t count, uint64_t *given, void *settings, const char *key,
		    const char *value);

/* 0 where status is BLOCKZ_OK; else "KEY=: what the fault says", and -1. */
int parameter_judge(const char *key, enum blockz_status status, const struct blockz_fault *fault);

/* Values of one kind; *to stays as it is where the value is none. */
int parameter_bool(bool *to, const char *value);
int parameter_size(uint64_t *to, const char *value); /* a number of bytes */
int parameter_sector_size(unsigned *to, const char *value);

/* One of two words; *second_ret: it is the second. */
int parameter_word(bool *second_ret, const char *key, const char *value, const char *first, const char *second);

/* A path, absolute as a server in the background stands elsewhere.  Starts as zeros. */
struct named_file {
	char *path;  /* NULL: not given */
	char *label; /* the path, fit to be printed */
};

/* Any path, of a file that need not exist; the caller frees it. */
int parameter_file(struct named_file *file, const char *value);
void named_file_free(struct named_file *file);

#endif
