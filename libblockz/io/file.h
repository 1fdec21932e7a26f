/* SPDX-License-Identifier: BSD-3-Clause */
/* Reads and writes of descriptors that go on after short ones and EINTR.  They return 0 or an errno value. */
#ifndef IO_FILE_H
#define IO_FILE_H

#include <stddef.h>
#include <stdint.h>

/* Reads len bytes at off; *got_ret is fewer only at the end of the file. */
int file_read(int fd, void *buf, size_t len, uint64_t off, size_t *got_ret);
/* Writes all len bytes at off. */
int file_write(int fd, const void *buf, size_t len, uint64_t off);

#endif
