/* SPDX-License-Identifier: BSD-3-Clause */
/* Room on a disk, asked for before it is used. */
#ifndef FILES_ROOM_H
#define FILES_ROOM_H

#include "blockz.h"

/*
 * Has the file system keep room for the first len bytes of a file, which stays as long as it is.  Where it cannot do that, there
 * may be room or not.  Errors: BLOCKZ_FAILED (there is none, with fault->error).
 */
enum blockz_status room_take(int fd, uint64_t len, struct blockz_fault *fault);

#endif
