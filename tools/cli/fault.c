/* SPDX-License-Identifier: BSD-3-Clause */
/* Texts come from files, and may hold anything: what is printed is made of characters that are seen. */
#include "cli/fault.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/unicode.h"

/* A text that did not fit ends in "...", behind a whole character of UTF-8. */
static void mark_cut(char *text, size_t room)
{
	static const char dots[] = "...";
	size_t len = room - sizeof(dots);
	while (len > 0 && ((unsigned char)text[len] & 0xc0) == 0x80)
		len--;
	memcpy(text + len, dots, sizeof(dots));
}

static void fill_text(struct blockz_fault *fault, enum blockz_status status, size_t reserved, const char *format, va_list args)
	__attribute__((format(printf, 4, 0)));

/* Leaves behind the text so many bytes of room as are reserved. */
static void fill_text(struct blockz_fault *fault, enum blockz_status status, size_t reserved, const char *format, va_list args)
{
	size_t room = sizeof(fault->text) - reserved;
	*fault = (struct blockz_fault){ .status = status, .offset = BLOCKZ_UNKNOWN };
	if (vsnprintf(fault->text, room, format, args) >= (int)room)
		mark_cut(fault->text, room);
}

enum blockz_status tool_fault(struct blockz_fault *fault, enum blockz_status status, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	if (fault != NULL)
		fill_text(fault, status, 0, format, args);
	va_end(args);
	return status;
}

enum blockz_status tool_fault_errno(struct blockz_fault *fault, int error, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	if (fault != NULL) {
		const char *reason = strerror(error);
		fill_text(fault, BLOCKZ_FAILED, strlen(reason) + 2, format, args);
		fault->error = error;
		stpcpy(stpcpy(fault->text + strlen(fault->text), ": "), reason);
	}
	va_end(args);
	return BLOCKZ_FAILED;
}

int fault_nbd_errno(const struct blockz_fault *fault)
{
	switch (fault->error) {
	case ENOSPC:
	case EDQUOT:
	case EFBIG:
		return ENOSPC;
	case EROFS:
	case ENOMEM:
		return fault->error;
	default:
		return EIO;
	}
}

char *escape(const char *text)
{
	char *out = malloc(4 * strlen(text) + 1);
	char *to = out;
	while (out != NULL && *text != '\0') {
		uint32_t code = 0;
		size_t len = unicode_decode(text, &code);
		bool visible = len > 0 && unicode_is_visible(code);
		for (len += len == 0; len > 0; len--)
			to += sprintf(to, visible ? "%c" : "\\x%02x", (unsigned char)*text++);
	}
	if (out != NULL)
		*to = '\0';
	return out;
}

/* What no shell takes for anything else than part of a word. */
static bool is_plain(unsigned char byte)
{
	return isalnum(byte) || (byte != '\0' && strchr("_./,:=@%^+-", byte) != NULL);
}

static bool is_plain_word(const char *name)
{
	while (is_plain((unsigned char)*name) || (*name & 0x80) != 0)
		name++;
	return *name == '\0';
}

/* Writes the name between quotes: $'...' where it is odd, and has to be escaped, or '...'. */
static void quote(char *to, const char *name, bool odd)
{
	to = stpcpy(to, odd ? "$'" : "'");
	to = stpcpy(to, name[0] == '-' ? "./" : "");
	for (; *name != '\0'; name++) {
		if (odd && !is_plain((unsigned char)*name))
			to += sprintf(to, "\\x%02x", (unsigned char)*name);
		else if (*name == '\'')
			to = stpcpy(to, "'\\''");
		else
			*to++ = *name;
	}
	strcpy(to, "'");
}

char *shell_word(const char *name)
{
	char *escaped = escape(name), *word = malloc(4 * strlen(name) + sizeof("$'./'"));
	bool odd = escaped == NULL || strcmp(escaped, name) != 0;
	free(escaped);
	if (word != NULL && !odd && is_plain_word(name))
		sprintf(word, "%s%s", name[0] == '-' ? "./" : "", name);
	else if (word != NULL)
		quote(word, name, odd);
	return word;
}

char *fault_line(const struct blockz_fault *fault)
{
	char line[sizeof(fault->text) + 40];
	if (fault->offset == BLOCKZ_UNKNOWN)
		return escape(fault->text);
	snprintf(line, sizeof(line), "offset %" PRIu64 ": %s", fault->offset, fault->text);
	return escape(line);
}

/* As asprintf(); name: of the file, for a shell. */
static int print_recovery(char **text_ret, enum blockz_remedy remedy, const char *name)
{
	switch (remedy) {
	case BLOCKZ_REMEDY_UNDO:
		return asprintf(text_ret,
				"image needs recovery: if another file was copied here, blockz-patch --recover=drop %s keeps it; if "
				"not, blockz-patch --recover=undo %s brings back what was there before the edit", name, name);
	case BLOCKZ_REMEDY_COMMIT:
		return asprintf(text_ret,
				"image needs recovery: if another file was copied here, blockz-patch --recover=drop %s keeps it and "
				"removes the overlay; if not, blockz-patch --recover=commit %s brings into it what the overlay has",
				name, name);
	case BLOCKZ_REMEDY_DROP:
		return asprintf(text_ret,
				"image needs recovery, or what lies beside it is not its own: blockz-patch --recover=drop %s keeps "
				"the image as it is and removes that", name);
	default:
		return asprintf(text_ret, "image needs recovery: run blockz-patch --recover %s", name);
	}
}

static char *recovery_sentence(enum blockz_remedy remedy, const char *file)
{
	char *text = NULL, *name = shell_word(file != NULL ? file : "FILE");
	int len = name != NULL ? print_recovery(&text, remedy, name) : -1;
	free(name);
	return len < 0 ? NULL : text;
}

const char *state_text(enum blockz_state state)
{
	static const char *const texts[] = {
		[BLOCKZ_IMAGE_UNCHANGED] = "image unchanged",
		[BLOCKZ_IMAGE_ROLLED_BACK] = "rolled back, image as before",
		[BLOCKZ_IMAGE_UPDATED] = "image updated",
		[BLOCKZ_IMAGE_NEEDS_RECOVERY] = "image needs recovery",
		[BLOCKZ_IMAGE_TORN] = "image updated in part, without a journal to undo it: restore it from a backup",
	};
	return texts[state];
}

char *state_sentence(const struct blockz_fault *fault, const char *file)
{
	return fault->state == BLOCKZ_IMAGE_NEEDS_RECOVERY ? recovery_sentence(fault->remedy, file)
							   : strdup(state_text(fault->state));
}

void put_escaped(FILE *out, const char *text)
{
	char *escaped = escape(text);
	fputs(escaped != NULL ? escaped : "?", out);
	free(escaped);
}
