/* SPDX-License-Identifier: BSD-3-Clause */
/* nbdkit's parsers do most of it. */
#define NBDKIT_API_VERSION 2
#include "servers/parameters.h"

#include <nbdkit-plugin.h>
#include <stdlib.h>
#include <string.h>

#include "cli/fault.h"
#include "cli/size.h"

int parameters_take(const struct parameter *rows, size_t count, uint64_t *given, void *settings, const char *key,
		    const char *value)
{
	for (size_t i = 0; i < count; i++) {
		if (strcmp(key, rows[i].key) != 0)
			continue;
		if ((*given >> i & 1) != 0 && !rows[i].repeatable) {
			nbdkit_error("%s= is given twice", key);
			return -1;
		}
		*given |= UINT64_C(1) << i;
		return rows[i].set(settings, value);
	}
	nbdkit_error("unknown parameter '%s'", key);
	return -1;
}

int parameter_judge(const char *key, enum blockz_status status, const struct blockz_fault *fault)
{
	if (status == BLOCKZ_OK)
		return 0;
	char *line = fault_line(fault);
	nbdkit_error("%s=: %s", key, line != NULL ? line : "?");
	free(line);
	return -1;
}

int parameter_bool(bool *to, const char *value)
{
	int parsed = nbdkit_parse_bool(value);
	if (parsed < 0)
		return -1;
	*to = parsed == 1;
	return 0;
}

int parameter_size(uint64_t *to, const char *value)
{
	int64_t parsed = nbdkit_parse_size(value);
	if (parsed < 0)
		return -1;
	*to = (uint64_t)parsed;
	return 0;
}

int parameter_sector_size(unsigned *to, const char *value)
{
	struct blockz_fault fault;
	return parameter_judge("sector-size", size_parse_sector(value, to, &fault), &fault);
}

int parameter_word(bool *second_ret, const char *key, const char *value, const char *first, const char *second)
{
	*second_ret = strcmp(value, second) == 0;
	if (*second_ret || strcmp(value, first) == 0)
		return 0;
	nbdkit_error("%s=%s: expected %s or %s", key, value, first, second);
	return -1;
}

int parameter_file(struct named_file *file, const char *value)
{
	file->path = nbdkit_absolute_path(value);
	file->label = file->path != NULL ? escape(file->path) : NULL;
	return file->label != NULL ? 0 : -1;
}

void named_file_free(struct named_file *file)
{
	free(file->path);
	free(file->label);
	*file = (struct named_file){ 0 };
}
