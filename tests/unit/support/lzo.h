/* SPDX-License-Identifier: BSD-3-Clause */
/* LZO for tests, by liblzo2, which is not linked because of its licence. */
#ifndef LZO_H
#define LZO_H

#include "blockz_delta.h"

/* Decompresses; or fails the test where the library is missing. */
const struct blockz_lzo *lzo_of_liblzo2(void);

#endif
