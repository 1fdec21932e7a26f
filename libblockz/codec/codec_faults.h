/* SPDX-License-Identifier: BSD-3-Clause */
/* The failures that all codecs tell alike: each fills the fault and returns its status. */
#ifndef CODEC_CODEC_FAULTS_H
#define CODEC_CODEC_FAULTS_H

#include "base/fault.h"

static inline enum blockz_status block_damaged(const char *codec, struct blockz_fault *fault)
{
	return fault_set(fault, BLOCKZ_DAMAGED, BLOCKZ_UNKNOWN, "a block (%s) does not decode to the bytes it should hold",
			 codec);
}

static inline enum blockz_status encoder_failed(const char *codec, int error, struct blockz_fault *fault)
{
	return fault_set(fault, BLOCKZ_FAILED, BLOCKZ_UNKNOWN, "the encoder (%s) failed with error %d", codec, error);
}

#endif
