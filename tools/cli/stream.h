/* SPDX-License-Identifier: BSD-3-Clause */
/* How a path on the command line names a standard stream. */
#ifndef CLI_STREAM_H
#define CLI_STREAM_H

#include <stdbool.h>
#include <string.h>

/* Whether a path is "-": standard input of what is read, standard output of what is written. */
static inline bool is_stream(const char *path)
{
	return strcmp(path, "-") == 0;
}

#endif
