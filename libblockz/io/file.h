/* SPDX-License-Identifier: BSD-3-Clause */
/* Reads and writes of descriptors that continue after short ones and EINTR; errno values. */
#ifndef IO_FILE_H
#define IO_FILE_H

#include <stddef.h>
#include <stdint.h>

/* Fewer than len bytes only at the end of the file. */
int file_read(int fd, void *buf, size_t len, uint64_t off, size_t *got_ret);
int file_write(int fd, const void *buf, size_t len, uint64_t off);

#endif
