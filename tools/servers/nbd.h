/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What each of the plugins answers to nbdkit in the same way, and how it reports a fault.
 *
 * This folder has what both plugins need and programs do not.  It calls nbdkit and cli/, and knows neither of the disks that
 * are served.
 */
#ifndef SERVERS_NBD_H
#define SERVERS_NBD_H

/* Before this, NBDKIT_API_VERSION is defined. */
#include <nbdkit-plugin.h>

#include "blockz.h"
#include "servers/parameters.h"

/* Reports a fault of the file called label as nbdkit does errors. */
void nbd_report(const char *label, const struct blockz_fault *fault);

/* The same of a file, and by which command one that needs recovery is recovered. */
void nbd_report_file(const struct named_file *file, const struct blockz_fault *fault);

/* Reports why a request failed, and sets the error that the client gets to see.  Returns -1. */
int nbd_fail(const char *label, const struct blockz_fault *fault, int error);

/*
 * Has the process end with this status, once it ends: nbdkit does with 0, whatever a plugin has to say.  The plugin stays in
 * memory up to then, as it is linked with -z nodelete.  To be called at most once.
 */
void nbd_exit_with(int status);

/* Answers that do not depend on the connection. */
int nbd_yes(void *handle);
int nbd_can_fua(void *handle);
int nbd_can_cache(void *handle); /* what is not decoded yet is read */
int nbd_block_size(void *handle, uint32_t *minimum, uint32_t *preferred, uint32_t *maximum);

/* Whether a run at off is zeros, and its length: at most len.  0, or -1 after the failure was reported. */
typedef int (*nbd_find_extent)(void *handle, uint64_t off, uint64_t len, bool *zeros_ret, uint64_t *len_ret);

/* Answers a request for what is zeros in a part of a disk, with nbdkit's arguments.  0 or -1. */
int nbd_list_extents(nbd_find_extent find, void *handle, uint32_t count, uint64_t offset, uint32_t flags,
		     struct nbdkit_extents *list);

#endif
