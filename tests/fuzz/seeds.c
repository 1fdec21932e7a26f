/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Writes first inputs for the fuzz targets into DIR/TARGET/: small files of every layout that there is, by blockz and
 * by the libraries of the formats, with the targets' own first bytes before them.  usage: seeds DIR
 */
#include <openssl/evp.h>
#include <stdio.h>
#include <sys/stat.h>

#include "delta/file/write.h"
#include "format/gzip/index_read.h"
#include "format/gzip/index_write.h"
#include "reseal.h"

static const char *dir;
static unsigned made;

static void seed(const char *target, const void *prefix, size_t prefix_len, const struct bytes *bytes)
{
	char path[512];
	snprintf(path, sizeof(path), "%s/%s", dir, target);
	mkdir(path, 0777);
	snprintf(path, sizeof(path), "%s/%s/seed-%u", dir, target, made++);
	FILE *file = fopen(path, "wb");
	assert(file != NULL);
	assert(fwrite(prefix, 1, prefix_len, file) == prefix_len);
	assert(fwrite(bytes->data, 1, bytes->len, file) == bytes->len);
	assert(fclose(file) == 0);
}

/* A good file, for the targets that take one. */
static void seed_file(const struct bytes *file)
{
	static const uint8_t by_index[13] = { 100, 0, 0, 0, 50, 0, 1, 0, 255 };
	static const uint8_t by_tokens[] = { 0, 0xf3, 0, 4, 9, 0, 0, 16, 200, 1 };
	static const uint8_t by_inside[] = { 100, 0, 0, 0, 50, 0, 2 };
	static const uint8_t by_scan[13] = { 0, 2, 0, 0, 0, 4, 77, 7, 1 };
	static const uint8_t anywhere[][13] = {
		{ 0, 2, 0, 0, 0, 4, 77, 7, 1 }, { 100, 0, 0, 0, 50, 0, 1, 8, 255 }, { 100, 0, 0, 0, 50, 0, 1, 16, 255 },
		{ 100, 0, 0, 0, 50, 0, 1, 0x80, 255, 0, 2 }, { 100, 0, 0, 0, 50, 0, 1, 0x80, 255, 0, 0, 3 },
	};
	struct blockz_memory memory = bytes_memory(file);
	struct blockz_source source = blockz_source_memory(&memory);
	uint64_t image_size;
	assert(verify(&source, false, &image_size) == BLOCKZ_OK);
	seed("scan", NULL, 0, file);
	seed("verify", NULL, 0, file);
	seed("patch", by_index, sizeof(by_index), file);
	seed("patch", by_scan, sizeof(by_scan), file);
	if (format_of(file->data, file->len) == ZSTD)
		seed("splice_zstd", by_inside, sizeof(by_inside), file);
	if (format_of(file->data, file->len) == XZ)
		seed("splice_xz", by_tokens, sizeof(by_tokens), file);
	for (size_t i = 0; i < sizeof(anywhere) / sizeof(anywhere[0]); i++)
		seed("anywhere", anywhere[i], sizeof(anywhere[i]), file);
}

/* Words, then noise, then zeros. */
static struct bytes make_image(size_t words, size_t noise, size_t zeros)
{
	static const char words_of_five[] = "dead live stop goes ";
	struct bytes image = { 0 };
	bytes_resize(&image, words + noise + zeros);
	uint32_t state = 1;
	for (size_t i = 0; i < words + noise; i++) {
		state = state * 1103515245 + 12345;
		image.data[i] = (uint8_t)(i < words ? words_of_five[(state >> 26) % 4 * 5 + i % 5] : state >> 24);
	}
	if (zeros > 0)
		memset(image.data + words + noise, 0, zeros);
	return image;
}

/* ---- By blockz ---- */

/* The same file with a CRC of its header, which an edit has to leave right although it changes the index. */
static void seed_with_header_crc(const struct bytes *file)
{
	struct bytes longer = { 0 };
	struct gzip_head head;
	if (!find_index(file->data, file->len, &head))
		return;
	size_t at = (size_t)head.body_off;
	bytes_append(&longer, file->data, at);
	bytes_append(&longer, "\0\0", 2);
	bytes_append(&longer, file->data + at, file->len - at);
	longer.data[3] |= GZIP_FHCRC;
	reseal_index(longer.data, longer.len, &head);
	store_le16(longer.data + at, (uint16_t)bytes_crc(&longer, 0, at));
	seed_file(&longer);
	free(longer.data);
}

/* The same pieces in an index of groups, as that of a large image has them. */
static void write_groups(const struct blockz_map *map, struct bytes *index)
{
	struct index_cuts cuts = index_cuts_of(index->data);
	struct index_facts facts = {
		.encoder = (enum deflate_encoder)index->data[INDEX_ENCODER_OFF], .level = index->data[INDEX_LEVEL_OFF],
		.image_size = map->image_size, .file_size = map->end_off,
	};
	uint64_t size;
	memcpy(facts.trailer, index->data + INDEX_TRAILER_OFF, GZIP_TRAILER_LEN);
	cuts.group = 16 * cuts.piece;
	struct index_builder *builder = index_builder_new(cuts);
	assert(builder != NULL);
	for (size_t i = 0; i < map->piece_count; i++) {
		const struct piece *piece = &map->pieces[i];
		const struct written_piece written = {
			.kind = (enum blockz_kind)piece->kind, .start = piece->start, .end = map_piece_end(map, i),
			.file_len = piece->file_len, .copies = piece->copies, .tag = piece->crc,
		};
		assert(index_add(builder, &written, NULL) == BLOCKZ_OK);
	}
	assert(index_write(builder, &facts, index->data, index->len, &size, NULL) == BLOCKZ_OK);
	index_builder_free(builder);
}

static void seed_grouped(struct bytes *file)
{
	struct blockz_memory memory = bytes_memory(file);
	struct blockz_source source = blockz_source_memory(&memory);
	struct blockz_map *map = NULL;
	struct gzip_head head;
	if (!find_index(file->data, file->len, &head))
		return;
	struct bytes index = { .data = file->data + head.index_off, .len = head.index_len };
	assert(blockz_map_read(&source, NULL, &map, NULL) == BLOCKZ_OK);
	write_groups(map, &index);
	assert(index.data[INDEX_VERSION_OFF] == INDEX_VERSION_GROUPS);
	seed_file(file);
	blockz_map_free(map);
}

static void seed_packed(struct bytes image, uint64_t raw_start, uint64_t raw_end, int level, bool no_index)
{
	struct bytes file = { 0 };
	struct blockz_memory memory = bytes_memory(&image);
	struct blockz_source source = blockz_source_memory(&memory);
	struct blockz_sink sink = bytes_sink(&file);
	struct blockz_range raw = { raw_start, raw_end };
	struct blockz_pack_options options = {
		.format = "gzip", .level = level, .piece_size = 65536, .no_index = no_index,
		.raw = &raw, .raw_count = 1, .work = one_thread,
	};
	struct blockz_pack_result result;
	assert(blockz_pack(&source, &sink, &options, &result, NULL) == BLOCKZ_OK);
	seed_file(&file);
	seed_with_header_crc(&file);
	seed_grouped(&file);
	free(file.data);
	free(image.data);
}

static void seed_other_formats(struct bytes image, uint64_t raw_start, uint64_t raw_end)
{
	static const char *const choices[][2] = {
		{ "xz", "crc64" }, { "xz", "crc32" }, { "xz", "sha256" }, { "xz", "none" },
		{ "zstd", "xxh64" }, { "zstd", "none" },
	};
	struct blockz_memory memory = bytes_memory(&image);
	struct blockz_source source = blockz_source_memory(&memory);
	struct blockz_range raw = { raw_start, raw_end };
	for (size_t i = 0; i < sizeof(choices) / sizeof(choices[0]); i++) {
		struct bytes file = { 0 };
		struct blockz_sink sink = bytes_sink(&file);
		struct blockz_pack_options options = {
			.format = choices[i][0], .level = 1, .check = choices[i][1], .piece_size = 65536,
			.raw = &raw, .raw_count = 1, .work = one_thread,
		};
		struct blockz_pack_result result;
		assert(blockz_pack(&source, &sink, &options, &result, NULL) == BLOCKZ_OK);
		seed_file(&file);
		free(file.data);
	}
	free(image.data);
}

/* ---- By liblzma and libzstd ---- */

/* Two Streams with padding behind them; their noise is stored in raw chunks. */
static void seed_liblzma(struct bytes image)
{
	static const uint8_t padding[4];
	struct bytes file = { 0 };
	for (int i = 0; i < 2; i++) {
		size_t len = file.len;
		bytes_resize(&file, len + lzma_stream_buffer_bound(image.len));
		lzma_check check = i == 0 ? LZMA_CHECK_CRC32 : LZMA_CHECK_CRC64;
		assert(lzma_easy_buffer_encode(0, check, NULL, image.data, image.len, file.data, &len, file.len) ==
		       LZMA_OK);
		file.len = len;
		seed_file(&file);
		bytes_append(&file, padding, sizeof(padding));
	}
	seed_file(&file);
	free(file.data);
	free(image.data);
}

/* Frames with and without checksum and content size, one that decoders pass over, and one of no bytes. */
static void seed_libzstd(struct bytes image)
{
	static const uint8_t skippable[] = { 0x50, 0x2a, 0x4d, 0x18, 2, 0, 0, 0, 1, 2 };
	struct bytes file = { 0 };
	ZSTD_CCtx *context = ZSTD_createCCtx();
	assert(context != NULL);
	for (int i = 0; i < 4; i++) {
		size_t len = file.len, from = i == 3 ? image.len : 0;
		ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, i & 1);
		ZSTD_CCtx_setParameter(context, ZSTD_c_contentSizeFlag, i < 2);
		bytes_resize(&file, len + ZSTD_compressBound(image.len));
		size_t added = ZSTD_compress2(context, file.data + len, file.len - len, image.data, image.len - from);
		assert(!ZSTD_isError(added));
		file.len = len + added;
		seed_file(&file);
		bytes_append(&file, skippable, sizeof(skippable));
	}
	ZSTD_freeCCtx(context);
	free(file.data);
	free(image.data);
}

/* ---- By zlib ---- */

static void append_member(struct bytes *file, const struct bytes *image, int level, int strategy, int window_bits,
			  gz_header *header, size_t flush_at)
{
	z_stream z = { .next_in = image->data, .avail_in = (uInt)image->len };
	assert(deflateInit2(&z, level, Z_DEFLATED, window_bits, 8, strategy) == Z_OK);
	assert(header == NULL || deflateSetHeader(&z, header) == Z_OK);
	size_t have = file->len;
	bytes_resize(file, have + image->len + image->len / 8 + 4096);
	z.next_out = file->data + have;
	z.avail_out = (uInt)(file->len - have);
	/* A full flush makes a cut. */
	z.avail_in = (uInt)flush_at;
	assert(deflate(&z, Z_FULL_FLUSH) == Z_OK);
	z.avail_in = (uInt)(image->len - flush_at);
	assert(deflate(&z, Z_FINISH) == Z_STREAM_END);
	file->len -= z.avail_out;
	deflateEnd(&z);
}

static void seed_zlib(struct bytes image, int level, int strategy, size_t flush_at)
{
	Bytef name[] = "name", comment[] = "comment", extra[] = "ab\4\0cdef";
	gz_header header = { .name = name, .comment = comment, .extra = extra, .extra_len = 8, .hcrc = 1 };
	struct bytes file = { 0 }, stream = { 0 };
	append_member(&file, &image, level, strategy, 15 + 16, NULL, flush_at);
	seed_file(&file);
	append_member(&file, &image, level, strategy, 15 + 16, &header, flush_at);
	seed_file(&file);
	append_member(&stream, &image, level, strategy, -15, NULL, flush_at);
	seed("walk", NULL, 0, &stream);
	seed("splice", (const uint8_t[]){ 0, 0xff, 0, 4, 9, 0, 0, 16, 200, 1 }, 10, &stream);
	seed("splice", (const uint8_t[]){ 1, 0xf1, 100, 0, 0, 0, 1, 0, 3, 0 }, 10, &stream);
	free(stream.data);
	free(file.data);
	free(image.data);
}

/* ---- What the other targets take ---- */

static void seed_pack(void)
{
	static uint8_t prefixes[][16] = {
		{ 1, 0, 0, 0, 1, 0, 0, 8 },          /* one raw range and an index */
		{ 6, 0, 1 | 2, 0, 0, 1, 0, 1 },      /* a stream */
		{ 9, 1, 4 | 16, 0, 0, 0, 8, 0, [12] = 2 }, /* many raw ranges, and holes */
		{ 12, 0, 8 | 128, 3, 0, 0, 5, 0 },   /* the bytes themselves, in two threads */
		{ 1, 0, 16, 0, 1, 0, 0, 8, [13] = 1 }, /* xz */
		{ 1, 0, 4 | 16, 0, 0, 0, 8, 0, [12] = 2, [13] = 1, [14] = 2 },
		{ 1, 0, 16, 0, 1, 0, 0, 8, [13] = 2 }, /* zstd */
		{ 1, 0, 4 | 16, 0, 0, 0, 8, 0, [12] = 2, [13] = 2, [14] = 1 },
	};
	static uint8_t script[] = { 1, 200, 0, 255, 2, 90, 0, 10, 3, 250, 7, 255, 0, 128, 2, 255, 5, 3 };
	struct bytes rest = { script, sizeof(script), sizeof(script) };
	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
		seed("pack", prefixes[i], sizeof(prefixes[i]), &rest);
}

static void seed_journal(void)
{
	struct bytes rest = make_image(1500, 64 + 3 * 1032 + 8, 0); /* enough for an intent journal as well */
	/* The file's length, what to mend (enum mend in journal.c), and which write fails. */
	static const uint8_t prefixes[][4] = {
		{ 0xdc, 5, 63, 255 }, { 0xdc, 5, 55, 255 }, { 0xdc, 5, 63, 1 },
		{ 0xdc, 5, 7, 255 },  { 0xdc, 5, 3, 255 },  { 0xdc, 5, 0, 255 },
		{ 0xdc, 5, 127, 255 }, { 0xdc, 5, 119, 255 }, { 0xdc, 5, 127, 3 },
		{ 0xdc, 5, 191, 255 }, { 0xdc, 5, 183, 255 }, { 0xdc, 5, 191, 1 },
	};
	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
		seed("journal", prefixes[i], sizeof(prefixes[i]), &rest);
	free(rest.data);
}

static void seed_overlay(void)
{
	struct bytes rest = make_image(700, 800, 0);
	/* The image's length, what to mend (enum mend in overlay.c), and the page that is written. */
	static const uint8_t prefixes[][5] = {
		{ 0, 10, 175, 1, 0 }, { 0, 10, 255, 1, 0 }, { 0, 255, 183, 9, 0 }, { 1, 2, 167, 0, 0 },
		{ 0, 0, 175, 0, 0 },  { 0, 10, 47, 3, 0 },  { 0, 10, 15, 0, 0 },
	};
	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
		seed("overlay", prefixes[i], sizeof(prefixes[i]), &rest);
	free(rest.data);
}

static void seed_foreign(void)
{
	/* Stored, a match into it, stored again in parts, far matches, a new member. */
	static uint8_t script[] = {
		0, 1, 0, 0x40, 3, 9, 0, 1,  1, 2, 0xff, 3,  1, 3, 0xff, 3, 1, 4, 0xff, 3, 1, 5, 0xff, 3, 1, 6, 0xff, 3,
		4, 50, 0x80, 0, 0, 7, 0xff, 0xff, 2, 9, 65, 1, 5, 8, 0, 16, 0, 1, 0xff, 0xff, 0, 2, 0xff, 0xff,
		0, 3, 0xff, 0xff, 0, 4, 0xff, 0xff, 5, 1, 0, 0, 0, 5, 0xff, 0xff, 130, 255, 0, 0x7f,
	};
	struct bytes rest = { script, sizeof(script), sizeof(script) };
	seed("foreign", &(uint8_t){ 255 }, 1, &rest);
	seed("foreign", &(uint8_t){ 2 }, 1, &rest);
}

/* As bmaptool writes them, and as we do; the target makes their checksums right. */
static void seed_bmap(void)
{
#define SHA256 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	static char texts[][900] = {
		"<?xml version=\"1.0\" ?>\n<bmap version=\"2.0\">\n<ImageSize> 300000 </ImageSize>\n<BlockSize> 4096 </BlockSize>\n"
		"<BlocksCount> 74 </BlocksCount>\n<MappedBlocksCount> 13 </MappedBlocksCount>\n<ChecksumType> sha256 </ChecksumType>\n"
		"<BmapFileChecksum> " SHA256 " </BmapFileChecksum>\n<BlockMap>\n<Range chksum=\"" SHA256 "\"> 0-9 </Range>\n"
		"<Range chksum=\"" SHA256 "\"> 12 </Range>\n<Range> 72-73 </Range>\n</BlockMap>\n</bmap>\n",
		"<bmap version='1.4'><!-- - --><ImageSize>1</ImageSize><BlockSize>512</BlockSize><BlocksCount>1</BlocksCount>"
		"<ChecksumType>sha256</ChecksumType><BmapFileChecksum>" SHA256 "</BmapFileChecksum><BlockMap></BlockMap></bmap>",
	};
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct bytes text = { (uint8_t *)texts[i], strlen(texts[i]), 0 };
		seed("bmap", NULL, 0, &text);
	}
}

static void seed_composition(void)
{
	static char texts[][900] = {
		"{\"version\": 1, \"base\": {\"size\": 10, \"sha256\": \"" SHA256 "\"}, \"result\": {\"size\": 9, \"sha256\": \"" SHA256
		"\"}, \"side\": {\"name\": \"side\"}, \"parts\": [{\"verbatim\": [1, 2]}, {\"literal\": \"SGkh\"},\n"
		"{\"side\": [2, 1], \"sha256\": \"" SHA256 "\"}, {\"verbatim\": [8, 2]}, {\"literal\": \"SA==\"}]}",
		"{\"version\": 1, \"base\": {\"size\": 0, \"sha256\": \"" SHA256 "\"}, \"result\": {\"size\": 0, \"sha256\": \"" SHA256
		"\"}, \"parts\": []}",
	};
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct bytes text = { (uint8_t *)texts[i], strlen(texts[i]), 0 };
		seed("composition", NULL, 0, &text);
	}
}

/* ---- Patches ---- */

static const struct codec_env no_env = { .lzo = NULL };

static struct bytes encode(const struct codec_params *params, const uint8_t *plain, size_t len)
{
	struct codec_contexts contexts = { .env = &no_env };
	struct buffer out = { 0 };
	struct bytes block = { 0 };
	size_t block_len = 0;
	assert(codec_encode(&contexts, params, plain, len, &out, &block_len, NULL) == BLOCKZ_OK && block_len > 0);
	bytes_append(&block, out.bytes, block_len);
	buffer_free(&out);
	codec_contexts_free(&contexts);
	return block;
}

/* The delta, OLD, and how long OLD is. */
static void seed_merge_input(const struct delta_head *head, const struct delta_old_blocks *blocks,
			     const struct section *section, const struct bytes *old)
{
	uint8_t len[4];
	struct bytes delta = { 0 };
	struct blockz_sink sink = bytes_sink(&delta);
	struct delta_writer *writer = NULL;
	assert(delta_writer_new(&sink, head, blocks, 1, &writer, NULL) == BLOCKZ_OK);
	assert(delta_write_sections(writer, section, 1, NULL) == BLOCKZ_OK);
	assert(delta_write_end(writer, NULL) == BLOCKZ_OK);
	delta_writer_free(writer);
	bytes_append(&delta, old->data, old->len);
	store_le32(len, (uint32_t)old->len);
	bytes_append(&delta, len, sizeof(len));
	seed("merge", NULL, 0, &delta);
	free(delta.data);
}

/* OLD has one block of 2000 bytes, NEW one of 1000 that was made from it by all kinds of ops, and some bytes around it. */
static void seed_merge(const struct codec_params *params)
{
	struct bytes image = make_image(3000, 0, 0), old = make_image(100, 100, 0);
	struct bytes old_block = encode(params, image.data, 2000), new_block = encode(params, image.data + 500, 1000);
	struct delta_head head = { .encoder_count = 1, .new_size = 60 + new_block.len };
	struct delta_old_block item = {
		.file_off = old.len, .plain_len = 2000, .file_len = old_block.len & 0x3ffffff, .codec = params->codec & 0x3f,
	};
	bytes_append(&old, old_block.data, old_block.len);
	uint64_t space = head.old_size = old.len;
	struct op ops[] = {
		{ 50, 20, OP_COPY }, { 300, space + 500, OP_COPY }, { 400, space + 800, OP_ADD }, { 300, 0, OP_EXTRA },
		{ 10, 0, OP_PACKED },
	};
	struct delta_new_block block = { .before = 50, .plain_len = 1000, .file_len = (uint32_t)new_block.len };
	uint8_t diff[400] = { 0 };
	struct section section = {
		.ops = ops, .op_count = 5, .blocks = &block, .block_count = 1, .stream_len = 1060,
		.diff = diff, .diff_len = 400, .extra = image.data + 1200, .extra_len = 300, .packed = image.data, .packed_len = 10,
	};
	head.encoders[0].params = *params;
	assert(codec_fingerprint(&no_env, params, head.encoders[0].fingerprint, NULL) == BLOCKZ_OK);
	assert(EVP_Digest(old.data, old.len, head.old_sha256, NULL, EVP_sha256(), NULL) == 1);
	seed_merge_input(&head, &(struct delta_old_blocks){ &item, 1 }, &section, &old);
	free(image.data);
	free(old.data);
	free(old_block.data);
	free(new_block.data);
}

int main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	dir = argv[1];
	seed_packed(make_image(0, 0, 0), 0, 0, 6, false);
	seed_packed(make_image(3000, 0, 0), 100, 2000, 6, false);
	seed_packed(make_image(3000, 500, 0), 0, 3500, 1, false);
	seed_packed(make_image(500, 6000, 100), 700, 6000, 12, true);
	seed_packed(make_image(2000, 0, 70000), 65536, 66000, 6, false);
	seed_packed(make_image(1000, 0, 300000), 200000, 201000, 9, false);
	seed_packed(make_image(65536, 0, 131072), 65000, 65536, 6, false);
	seed_packed(make_image(1000, 40000, 1000), 1500, 39000, 6, false);
	seed_zlib(make_image(3000, 0, 0), 6, Z_DEFAULT_STRATEGY, 1500);
	seed_zlib(make_image(2000, 0, 0), 9, Z_FIXED, 2000);
	seed_zlib(make_image(2000, 0, 0), 1, Z_HUFFMAN_ONLY, 500);
	seed_zlib(make_image(0, 6000, 0), 0, Z_DEFAULT_STRATEGY, 3000);
	seed_zlib(make_image(60000, 0, 0), 6, Z_RLE, 1000);
	seed_zlib(make_image(100, 5000, 600000), 6, Z_DEFAULT_STRATEGY, 300000);
	/* A piece too long for memory. */
	seed_zlib(make_image(1000, 0, 17 << 20), 6, Z_DEFAULT_STRATEGY, 100);
	seed_other_formats(make_image(0, 0, 0), 0, 0);
	seed_other_formats(make_image(3000, 500, 0), 100, 2000);
	seed_other_formats(make_image(1000, 0, 300000), 200000, 200100);
	seed_other_formats(make_image(70000, 0, 140000), 65000, 65536);
	seed_liblzma(make_image(500, 6000, 300));
	seed_libzstd(make_image(500, 6000, 300));
	seed_pack();
	seed_journal();
	seed_overlay();
	seed_foreign();
	seed_bmap();
	seed_composition();
	seed_merge(&(struct codec_params){ .codec = CODEC_STORED });
	seed_merge(&(struct codec_params){ CODEC_ZLIB, { [ZLIB_LEVEL] = 1, [ZLIB_WINDOW] = 15 } });
	seed_merge(&(struct codec_params){ CODEC_ZSTD, { [ZSTD_LEVEL] = 1 } });
	return 0;
}
