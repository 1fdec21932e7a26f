/* SPDX-License-Identifier: BSD-3-Clause */
/* Marks the definition of a function of blockz.h; everything else stays inside the shared library. */
#ifndef BASE_EXPORT_H
#define BASE_EXPORT_H

#define EXPORT __attribute__((visibility("default")))

#endif
