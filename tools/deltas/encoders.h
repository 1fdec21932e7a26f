/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Encoders with their fingerprints as JSON: {"zstd level=15": "0123...", ...}, in a client's file as the member
 * "encoders" of an object.
 */
#ifndef DELTAS_ENCODERS_H
#define DELTAS_ENCODERS_H

#include <jansson.h>

#include "blockz_delta.h"

/* Adds an encoder to such an object.  False: no memory. */
bool encoders_add(json_t *object, const struct blockz_encoder *encoder);

/*
 * All encoders that the library has here, as such an object, which the caller drops.  Takes some seconds.
 * Errors: those of blockz_encoders().
 */
enum blockz_status encoders_collect(const struct blockz_lzo *lzo, const struct blockz_work *work, json_t **object_ret,
				    struct blockz_fault *fault);

/*
 * Reads the file of a client.  *common_ret NULL: becomes the encoders that it lists; otherwise those are dropped that it
 * does not, or with another fingerprint.  The caller drops the reference in any case.
 * Errors: BLOCKZ_FAILED, BLOCKZ_DAMAGED (not such a file), BLOCKZ_LIMIT (it is larger than 1 MiB).
 */
enum blockz_status encoders_read(const char *path, json_t **common_ret, struct blockz_fault *fault);

/* Makes an array of such an object, which the caller frees; NULL where there are none.  Errors: BLOCKZ_FAILED. */
enum blockz_status encoders_list(json_t *object, struct blockz_encoder **items_ret, size_t *count_ret,
				 struct blockz_fault *fault);

/* The fingerprint in hexadecimal. */
enum { ENCODERS_HEX = 2 * BLOCKZ_FINGERPRINT_LEN + 1 };
void encoders_hex(const struct blockz_encoder *encoder, char hex_ret[ENCODERS_HEX]);

#endif
