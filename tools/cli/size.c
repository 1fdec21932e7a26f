/* SPDX-License-Identifier: BSD-3-Clause */
/* What is written for people is rounded; what is read is exact. */
#include "cli/size.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/fault.h"

/* How many bytes the suffix that text starts with stands for, 1 without one; and the character behind it. */
static uint64_t factor_of(const char *text, const char **end_ret)
{
	static const char letters[] = "KMGT";
	const char *letter = *text != '\0' ? strchr(letters, toupper((unsigned char)*text)) : NULL;
	*end_ret = text;
	if (*text == 's') {
		*end_ret = text + 1;
		return 512;
	}
	if (letter == NULL)
		return 1;
	*end_ret = text + (text[1] == 'i' && text[2] == 'B' ? 3 : 1);
	return (uint64_t)1 << 10 * (letter - letters + 1);
}

/* Parses the number that text starts with. */
static enum blockz_status parse_number(const char *text, const char **end_ret, uint64_t *value_ret,
				       struct blockz_fault *fault)
{
	bool hex = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
	if (hex ? !isxdigit((unsigned char)text[2]) : !isdigit((unsigned char)text[0]))
		return tool_fault(fault, BLOCKZ_USAGE, "'%s' does not start with a number", text);
	char *digits_end;
	errno = 0;
	unsigned long long number = strtoull(text, &digits_end, hex ? 16 : 10);
	bool too_large = errno == ERANGE;
	uint64_t factor = factor_of(digits_end, end_ret);
	if (too_large || number > INT64_MAX / factor)
		return tool_fault(fault, BLOCKZ_USAGE, "'%s' is more than 2^63-1 bytes", text);
	*value_ret = number * factor;
	return BLOCKZ_OK;
}

enum blockz_status size_parse(const char *text, uint64_t *value_ret, struct blockz_fault *fault)
{
	const char *end = text;
	uint64_t value = 0;
	enum blockz_status status = parse_number(text, &end, &value, fault);
	if (status != BLOCKZ_OK)
		return status;
	if (*end != '\0')
		return tool_fault(fault, BLOCKZ_USAGE, "'%s' is not a number of bytes: expected K, M, G, T or s, found '%s'",
				  text, end);
	*value_ret = value;
	return BLOCKZ_OK;
}

enum blockz_status size_parse_range(const char *text, struct blockz_range *range_ret, struct blockz_fault *fault)
{
	const char *end = text;
	uint64_t start = 0, second = 0;
	enum blockz_status status = parse_number(text, &end, &start, fault);
	if (status != BLOCKZ_OK)
		return status;
	if (*end != '-' && *end != '+')
		return tool_fault(fault, BLOCKZ_USAGE, "'%s' is not a range: expected START-END or START+LENGTH", text);
	status = size_parse(end + 1, &second, fault);
	if (status != BLOCKZ_OK)
		return status;
	if (*end == '+' && second > INT64_MAX - start)
		return tool_fault(fault, BLOCKZ_USAGE, "'%s' ends behind 2^63-1", text);
	struct blockz_range range = { start, *end == '+' ? start + second : second };
	if (range.end < range.start)
		return tool_fault(fault, BLOCKZ_USAGE, "'%s' ends before it starts", text);
	if (range.end == range.start)
		return tool_fault(fault, BLOCKZ_USAGE, "'%s' is a range of no bytes", text);
	*range_ret = range;
	return BLOCKZ_OK;
}

enum blockz_status size_parse_sector(const char *text, unsigned *size_ret, struct blockz_fault *fault)
{
	uint64_t value = 0;
	enum blockz_status status = size_parse(text, &value, fault);
	if (status != BLOCKZ_OK || (value != SIZE_SECTOR_SMALL && value != SIZE_SECTOR_LARGE))
		return tool_fault(fault, BLOCKZ_USAGE, "expected %d or %d, found %s", SIZE_SECTOR_SMALL, SIZE_SECTOR_LARGE, text);
	*size_ret = (unsigned)value;
	return BLOCKZ_OK;
}

void size_human(char *buf, size_t len, uint64_t bytes)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	size_t i = 0;
	double value = (double)bytes;
	/* From 1023.5 on it would be rounded to 1024 of the smaller one. */
	while (value >= 1023.5 && i + 1 < sizeof(units) / sizeof(units[0])) {
		value /= 1024;
		i++;
	}
	bool whole = value == (double)(uint64_t)value || value >= 99.95;
	snprintf(buf, len, "%.*f %s", whole ? 0 : 1, value, units[i]);
}

const char *plural(uint64_t count)
{
	return count == 1 ? "" : "s";
}
