/* SPDX-License-Identifier: BSD-3-Clause */
/* Files on the disk, and what programs of others make of them. */
#ifndef FILES_H
#define FILES_H

#include "memory.h"

struct bytes load(const char *path);

/* Runs a command of the shell in a folder where tree/content is a file; returns the file "image" that it makes there. */
struct bytes image_by(const char *command, struct bytes content);

#endif
