/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reading a block map.  The parser is libxml2's with callbacks of ours, so no tree is built; a document type, and with
 * it every entity, is refused as it begins.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libxml/parserInternals.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bmap/bmap.h"
#include "cli/fault.h"
#include "cli/size.h"

/* The elements, each under the one that it stands in. */
enum element {
	NONE,
	BMAP,
	IMAGE_SIZE,
	BLOCK_SIZE,
	BLOCKS_COUNT,
	MAPPED_COUNT,
	CHECKSUM_TYPE,
	FILE_CHECKSUM,
	BLOCK_MAP,
	RANGE,
	ELEMENTS,
};

static const struct {
	const char *name;
	enum element parent;
	bool has_text;
} elements[ELEMENTS] = {
	[BMAP] = { "bmap", NONE, false },
	[IMAGE_SIZE] = { "ImageSize", BMAP, true },
	[BLOCK_SIZE] = { "BlockSize", BMAP, true },
	[BLOCKS_COUNT] = { "BlocksCount", BMAP, true },
	[MAPPED_COUNT] = { "MappedBlocksCount", BMAP, true },
	[CHECKSUM_TYPE] = { "ChecksumType", BMAP, true },
	[FILE_CHECKSUM] = { "BmapFileChecksum", BMAP, true },
	[BLOCK_MAP] = { "BlockMap", BMAP, false },
	[RANGE] = { "Range", BLOCK_MAP, true },
};

enum { TEXT_MAX = 128, MARKUP_MAX = 16384, BLOCK_SIZE_MIN = 512, BLOCK_SIZE_MAX = 16 << 20 };

struct reading {
	xmlParserCtxtPtr xml;
	struct bmap *bmap;
	enum element open;            /* the innermost */
	bool seen[ELEMENTS];
	uint64_t numbers[ELEMENTS];   /* of those that hold one */
	uint64_t mapped;              /* blocks so far */
	char text[TEXT_MAX + 1];      /* of the open element */
	size_t text_len;
	char chksum[DIGEST_HEX];      /* of the open Range */
	char file_checksum[DIGEST_HEX];
	enum blockz_status status;
	struct blockz_fault *fault;
};

static void refuse(struct reading *self, enum blockz_status status, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* The first fault counts; it ends the parsing. */
static void refuse(struct reading *self, enum blockz_status status, const char *format, ...)
{
	char text[sizeof(((struct blockz_fault *)0)->text)];
	va_list args;
	if (self->status != BLOCKZ_OK)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	self->status = tool_fault(self->fault, status, "line %d: %s", xmlSAX2GetLineNumber(self->xml), text);
	xmlStopParser(self->xml);
}

/* ---- Values */

static bool parse_number(const char **text, uint64_t *number_ret)
{
	char *end;
	if (!isdigit((unsigned char)**text))
		return false;
	errno = 0;
	unsigned long long number = strtoull(*text, &end, 10);
	if (errno != 0 || number > INT64_MAX)
		return false;
	*text = end + strspn(end, " \t\r\n");
	*number_ret = number;
	return true;
}

static bool is_sha256(const char *text)
{
	return strlen(text) == DIGEST_HEX - 1 && strspn(text, "0123456789abcdef") == DIGEST_HEX - 1;
}

static void take_number(struct reading *self)
{
	const char *text = self->text;
	if (!parse_number(&text, &self->numbers[self->open]) || *text != '\0')
		refuse(self, BLOCKZ_DAMAGED, "%s: expected a number below 2^63, found '%s'",
		       elements[self->open].name, self->text);
}

/* FIRST-LAST, or one block. */
static void take_range(struct reading *self)
{
	const struct bmap *bmap = self->bmap;
	const char *text = self->text;
	struct bmap_range range = { 0 };
	uint64_t last;
	bool good = parse_number(&text, &range.first);
	last = range.first;
	if (good && *text == '-') {
		text += 1 + strspn(text + 1, " \t\r\n");
		good = parse_number(&text, &last);
	}
	if (!good || *text != '\0' || last < range.first) {
		refuse(self, BLOCKZ_DAMAGED, "expected a range of blocks, found '%s'", self->text);
		return;
	}
	range.end = last + 1;
	memcpy(range.sha256, self->chksum, sizeof(range.sha256));
	if (range.end > bmap_blocks(bmap))
		refuse(self, BLOCKZ_DAMAGED, "block %" PRIu64 " lies beyond the image of %" PRIu64 " block%s", last,
		       bmap_blocks(bmap), plural(bmap_blocks(bmap)));
	else if (bmap->count > 0 && range.first < bmap->items[bmap->count - 1].end)
		refuse(self, BLOCKZ_DAMAGED, "block %" PRIu64 " does not stand behind the range before it", range.first);
	if (self->status != BLOCKZ_OK)
		return;
	struct blockz_fault why;
	enum blockz_status status = bmap_append(self->bmap, &range, &why);
	if (status != BLOCKZ_OK)
		refuse(self, status, "%s", why.text);
	self->mapped += range.end - range.first;
}

/* What the ranges need has to stand before them. */
static void take_head(struct reading *self)
{
	struct bmap *bmap = self->bmap;
	for (enum element each = IMAGE_SIZE; each <= BLOCKS_COUNT; each++)
		if (!self->seen[each])
			refuse(self, BLOCKZ_DAMAGED, "%s is missing before %s", elements[each].name,
			       elements[BLOCK_MAP].name);
	if (self->status != BLOCKZ_OK)
		return;
	bmap->image_size = self->numbers[IMAGE_SIZE];
	bmap->block_size = self->numbers[BLOCK_SIZE];
	if (bmap->block_size < BLOCK_SIZE_MIN || bmap->block_size > BLOCK_SIZE_MAX ||
	    (bmap->block_size & (bmap->block_size - 1)) != 0)
		refuse(self, BLOCKZ_UNSUPPORTED,
		       "blocks of %" PRIu64 " byte%s, expected a power of two from %d to %d", bmap->block_size,
		       plural(bmap->block_size),
		       BLOCK_SIZE_MIN, BLOCK_SIZE_MAX);
	else if (self->numbers[BLOCKS_COUNT] != bmap_blocks(bmap))
		refuse(self, BLOCKZ_DAMAGED, "%s: expected %" PRIu64 " by the sizes, found %" PRIu64,
		       elements[BLOCKS_COUNT].name, bmap_blocks(bmap), self->numbers[BLOCKS_COUNT]);
}

static void take_element(struct reading *self)
{
	switch (self->open) {
	case IMAGE_SIZE:
	case BLOCK_SIZE:
	case BLOCKS_COUNT:
	case MAPPED_COUNT:
		take_number(self);
		break;
	case CHECKSUM_TYPE:
		if (strcmp(self->text, "sha256") != 0)
			refuse(self, BLOCKZ_UNSUPPORTED, "checksums are %s, expected sha256", self->text);
		break;
	case FILE_CHECKSUM:
		if (!is_sha256(self->text))
			refuse(self, BLOCKZ_DAMAGED, "expected a SHA-256, found '%s'", self->text);
		else
			memcpy(self->file_checksum, self->text, DIGEST_HEX);
		break;
	case RANGE:
		take_range(self);
		break;
	default:
		break;
	}
}

/* ---- What the parser calls */

static void on_document_type(void *ctx, const xmlChar *name, const xmlChar *public_id, const xmlChar *system_id)
{
	(void)name, (void)public_id, (void)system_id;
	refuse(ctx, BLOCKZ_DAMAGED, "a document type, which a block map does not have");
}

/* Millions of them with names of their own would make the parser slow. */
static void on_instruction(void *ctx, const xmlChar *target, const xmlChar *data)
{
	(void)data;
	refuse(ctx, BLOCKZ_DAMAGED, "an instruction '%s', which a block map does not have", (const char *)target);
}

/* Of each attribute the parser tells name, prefix, namespace, start and end of its value. */
static void take_attributes(struct reading *self, int count, const xmlChar **attributes)
{
	char version[TEXT_MAX] = "unknown", value[TEXT_MAX];
	self->chksum[0] = '\0';
	for (; count > 0; count--, attributes += 5) {
		const char *name = (const char *)attributes[0];
		snprintf(value, sizeof(value), "%.*s", (int)(attributes[4] - attributes[3]), (const char *)attributes[3]);
		if (self->open == BMAP && strcmp(name, "version") == 0)
			memcpy(version, value, sizeof(version));
		else if (self->open == RANGE && strcmp(name, "chksum") == 0 && is_sha256(value))
			memcpy(self->chksum, value, DIGEST_HEX);
		else
			refuse(self, BLOCKZ_DAMAGED, "%s: attribute %s='%s' is not expected",
			       elements[self->open].name, name, value);
	}
	if (self->open != BMAP || self->status != BLOCKZ_OK)
		return;
	if (strcmp(version, "2.0") != 0 && strcmp(version, "1.4") != 0)
		refuse(self, BLOCKZ_UNSUPPORTED, "version %s, expected 2.0", version);
}

static void on_start(void *ctx, const xmlChar *name, const xmlChar *prefix, const xmlChar *uri, int namespace_count,
		     const xmlChar **namespaces, int attribute_count, int default_count, const xmlChar **attributes)
{
	struct reading *self = ctx;
	enum element found = NONE;
	(void)prefix, (void)uri, (void)namespace_count, (void)namespaces, (void)default_count;
	if (self->status != BLOCKZ_OK)
		return;
	for (enum element each = BMAP; each < ELEMENTS; each++)
		if (elements[each].parent == self->open && strcmp(elements[each].name, (const char *)name) == 0)
			found = each;
	if (found == NONE || (self->seen[found] && found != RANGE)) {
		refuse(self, BLOCKZ_DAMAGED, "element %s is not expected here", (const char *)name);
		return;
	}
	self->open = found;
	self->seen[found] = true;
	self->text_len = 0;
	take_attributes(self, attribute_count, attributes);
	if (found == BLOCK_MAP)
		take_head(self);
}

static void on_end(void *ctx, const xmlChar *name, const xmlChar *prefix, const xmlChar *uri)
{
	struct reading *self = ctx;
	(void)name, (void)prefix, (void)uri;
	if (self->status != BLOCKZ_OK)
		return;
	while (self->text_len > 0 && isspace((unsigned char)self->text[self->text_len - 1]))
		self->text_len--;
	self->text[self->text_len] = '\0';
	take_element(self);
	self->open = elements[self->open].parent;
}

static void on_text(void *ctx, const xmlChar *text, int len)
{
	struct reading *self = ctx;
	/* The parser goes on with text behind an error of its own. */
	for (int i = 0; i < len && self->status == BLOCKZ_OK && self->xml->wellFormed; i++) {
		bool blank = isspace(text[i]);
		if (blank && self->text_len == 0)
			continue;
		if (!elements[self->open].has_text && !blank)
			refuse(self, BLOCKZ_DAMAGED, "text between elements");
		else if (elements[self->open].has_text && self->text_len == TEXT_MAX)
			refuse(self, BLOCKZ_DAMAGED, "%s: the text is too long", elements[self->open].name);
		else if (elements[self->open].has_text)
			self->text[self->text_len++] = (char)text[i];
	}
}

static void parse_xml(struct reading *self, const char *bytes, size_t len)
{
	const xmlSAXHandler handler = {
		.initialized = XML_SAX2_MAGIC,
		.internalSubset = on_document_type,
		.processingInstruction = on_instruction,
		.startElementNs = on_start,
		.endElementNs = on_end,
		.characters = on_text,
		.cdataBlock = on_text,
		.ignorableWhitespace = on_text,
	};
	self->xml = xmlCreateMemoryParserCtxt(bytes, (int)len);
	if (self->xml == NULL) {
		self->status = tool_fault_errno(self->fault, ENOMEM, "read");
		return;
	}
	*self->xml->sax = handler;
	self->xml->userData = self;
	xmlCtxtUseOptions(self->xml, XML_PARSE_NONET | XML_PARSE_IGNORE_ENC | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
	xmlParseDocument(self->xml);
	if (self->status == BLOCKZ_OK && !self->xml->wellFormed) {
		const xmlError *error = xmlCtxtGetLastError(self->xml);
		const char *text = error != NULL && error->message != NULL ? error->message : "it is no XML";
		refuse(self, BLOCKZ_DAMAGED, "%.*s", (int)strcspn(text, "\n"), text);
	}
	if (self->status == BLOCKZ_OK && !self->seen[BLOCK_MAP])
		refuse(self, BLOCKZ_DAMAGED, "there is no block map in it");
	if (self->status == BLOCKZ_OK && self->seen[MAPPED_COUNT] && self->numbers[MAPPED_COUNT] != self->mapped)
		refuse(self, BLOCKZ_DAMAGED, "%" PRIu64 " block%s mapped, expected %" PRIu64, self->mapped,
		       plural(self->mapped),
		       self->numbers[MAPPED_COUNT]);
	xmlFreeParserCtxt(self->xml);
}

/* ---- The file */

/*
 * The parser compares each attribute of a tag with all before it, which takes hours for a tag of some MiB.  No tag holds
 * a '<', so few bytes from one to the next mean short tags; text in another encoding could hide them, and is refused.
 */
static enum blockz_status check_markup(const char *bytes, size_t len, struct blockz_fault *fault)
{
	size_t last = 0, line = 1;
	if (len == 0 || bytes[0] != '<' || memchr(bytes, 0, len) != NULL)
		return tool_fault(fault, BLOCKZ_DAMAGED, "line 1: it is no XML in UTF-8");
	for (size_t i = 0; i < len; i++) {
		if (bytes[i] == '<')
			last = i;
		if (i - last > MARKUP_MAX)
			return tool_fault(fault, BLOCKZ_DAMAGED, "line %zu: %d bytes without a new tag", line, MARKUP_MAX);
		line += bytes[i] == '\n';
	}
	return BLOCKZ_OK;
}

/* The checksum is over the file with zeros where the checksum stands first, as bmaptool(1) takes it. */
static enum blockz_status check_file(const struct reading *self, const char *bytes, size_t len)
{
	static const char zeros[] = "0000000000000000000000000000000000000000000000000000000000000000";
	const char *place = self->seen[FILE_CHECKSUM] ? memmem(bytes, len, self->file_checksum, DIGEST_HEX - 1) : NULL;
	char found[DIGEST_HEX];
	struct digest digest;
	if (place == NULL)
		return tool_fault(self->fault, BLOCKZ_DAMAGED, "it has no checksum over itself");
	enum blockz_status status = digest_start(&digest, self->fault);
	if (status != BLOCKZ_OK)
		return status;
	digest_update(&digest, bytes, (size_t)(place - bytes));
	digest_update(&digest, zeros, sizeof(zeros) - 1);
	place += DIGEST_HEX - 1;
	digest_update(&digest, place, len - (size_t)(place - bytes));
	status = digest_finish(&digest, found, self->fault);
	digest_free(&digest);
	if (status == BLOCKZ_OK && strcmp(found, self->file_checksum) != 0)
		return tool_fault(self->fault, BLOCKZ_DAMAGED, "its own checksum does not match: expected %s, found %s",
				  self->file_checksum, found);
	return status;
}

static enum blockz_status load_file(int fd, char **bytes_ret, size_t *len_ret, struct blockz_fault *fault)
{
	struct stat st;
	if (fstat(fd, &st) < 0)
		return tool_fault_errno(fault, errno, "stat");
	if (!S_ISREG(st.st_mode))
		return tool_fault(fault, BLOCKZ_UNSUPPORTED, "is no regular file");
	if (st.st_size > BMAP_FILE_MAX)
		return tool_fault(fault, BLOCKZ_LIMIT, "a block map of %" PRIdMAX " bytes, expected at most %d",
				  (intmax_t)st.st_size, BMAP_FILE_MAX);
	struct blockz_source file;
	size_t len = (size_t)st.st_size, got = 0;
	enum blockz_status status = blockz_source_fd(fd, &file, fault);
	if (status != BLOCKZ_OK)
		return status;
	char *bytes = malloc(len + 1);
	if (bytes == NULL)
		return tool_fault_errno(fault, ENOMEM, "read");
	int error = file.ops->read(file.ctx, bytes, len, 0, &got);
	if (error != 0 || got < len) {
		free(bytes);
		return tool_fault_errno(fault, error != 0 ? error : EIO, "read");
	}
	*bytes_ret = bytes;
	*len_ret = len;
	return BLOCKZ_OK;
}

enum blockz_status bmap_read(struct bmap *bmap, const char *path, struct blockz_fault *fault)
{
	struct reading self = { .bmap = bmap, .fault = fault };
	char *bytes = NULL;
	size_t len = 0;
	*bmap = (struct bmap){ 0 };
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return tool_fault_errno(fault, errno, "open");
	enum blockz_status status = load_file(fd, &bytes, &len, fault);
	close(fd);
	if (status != BLOCKZ_OK)
		return status;
	status = check_markup(bytes, len, fault);
	if (status == BLOCKZ_OK) {
		parse_xml(&self, bytes, len);
		status = self.status;
	}
	if (status == BLOCKZ_OK)
		status = check_file(&self, bytes, len);
	if (status != BLOCKZ_OK)
		bmap_free(bmap);
	free(bytes);
	return status;
}
