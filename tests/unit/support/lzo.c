/* SPDX-License-Identifier: BSD-3-Clause */
/* The library is opened with dlopen() when a test first wants it. */
#include "blockz_delta.h"
#include "lzo.h"

#include <check.h>
#include <dlfcn.h>
#include <errno.h>

typedef int (*lzo_decompress)(const unsigned char *in, size_t len, unsigned char *out, size_t *out_len, void *unused);

static lzo_decompress decompress_safe;

static int decompress(void *ctx, const void *in, size_t len, void *out, size_t out_len)
{
	size_t got = out_len;
	(void)ctx;
	return decompress_safe(in, len, out, &got, NULL) == 0 && got == out_len ? 0 : EILSEQ;
}

const struct blockz_lzo *lzo_of_liblzo2(void)
{
	static const struct blockz_lzo_ops ops = { .decompress = decompress };
	static const struct blockz_lzo lzo = { &ops, NULL };
	void *library = dlopen("liblzo2.so.2", RTLD_NOW);
	ck_assert_msg(library != NULL, "%s", dlerror());
	*(void **)&decompress_safe = dlsym(library, "lzo1x_decompress_safe");
	ck_assert_msg(decompress_safe != NULL, "%s", dlerror());
	return &lzo;
}
