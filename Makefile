# blockz: edit chosen parts of a disk image inside its compressed file.
#
#:  make              build the library and the tools
#:  make demo         install what is missing, build, and show the whole story on a small image
#:  make check        install what is missing, build, and run all tests
#:  make check AREA=disk     only what an edit of that folder of libblockz/ needs, or of several: AREA='format format/xz'
#:  make matrix       edit files on each kind of file system, in files of each writer, with guestfish: takes minutes
#:  make bench IMAGE=path   measure against gzip, pigz and igzip, side by side in one run
#:  make bench-anywhere IMAGE=path  measure edits of compressed bytes, in our files and in others; ROWS='file boot': these
#:  make bench-delta PAIRS=dir  measure deltas of old and new images against xdelta3, bsdiff and zstd
#:  make bench-nbd IMAGE=path   measure the nbdkit plugin against nbdkit's filters and qemu-nbd
#:  make bench-ram IMAGE=path   measure the RAM disk against nbdkit's memory plugin
#:  make fuzz         run each fuzz target for FUZZ_SECONDS (default 20); needs clang
#:  make install      to DESTDIR and PREFIX (default /usr/local), whatever they were when it was built
#:  make uninstall    with the same variables
#:  make clean
#:
#:  Variables
#:    SANITIZE=address,undefined   a build of its own with these sanitizers (or: thread)
#:    ISAL=0                       leave ISA-L out (default: used where pkg-config finds it)
#:    NBDKIT=0                     leave the nbdkit plugins out (default: built where pkg-config finds nbdkit)
#:    LZO=0                        leave the LZO helper program out (default: built where pkg-config finds lzo2)
#:    BUILD=dir                    build directory (default .build, one for each configuration), without blanks in its name
#:    BINDIR, LIBDIR, INCDIR, MANDIR, DOCDIR   default: bin, lib, include, share/man and share/doc/blockz in PREFIX
#:    PLUGINDIR=dir                default: where nbdkit looks for plugins if PREFIX is /usr or /usr/local, or else
#:                                 lib/nbdkit/plugins in PREFIX: nbdkit has to be told the file's path then
#:    CC, CFLAGS, CPPFLAGS, LDFLAGS are yours; they come last.

VERSION  := $(shell sed -n 's/^.define BLOCKZ_VERSION "\(.*\)"/\1/p' libblockz/blockz.h)
SOVERSION := 1
PREFIX   ?= /usr/local
BINDIR    = $(PREFIX)/bin
LIBDIR    = $(PREFIX)/lib
INCDIR    = $(PREFIX)/include
MANDIR    = $(PREFIX)/share/man
DOCDIR    = $(PREFIX)/share/doc/blockz
# Where the programs look for their helper: they know their own folder alone.
LIBEXECDIR = $(BINDIR)/../libexec/blockz
SANITIZE ?=
CFLAGS   ?= -O2 -g

comma := ,
BUILD ?= .build/$(if $(SANITIZE),$(subst $(comma),-,$(SANITIZE)),release)
ifneq ($(words $(BUILD)),1)
$(error BUILD=$(BUILD): make knows no names with blanks; a relative one will do wherever the sources are)
endif
PKGCONFIG ?= pkg-config
OBJCOPY ?= objcopy

ISAL ?= $(shell $(PKGCONFIG) --exists libisal 2>/dev/null && echo 1 || echo 0)

NBDKIT ?= $(shell $(PKGCONFIG) --exists nbdkit 2>/dev/null && echo 1 || echo 0)
PLUGINDIR ?= $(if $(filter /usr /usr/local,$(PREFIX)),$(shell $(PKGCONFIG) --variable=plugindir nbdkit 2>/dev/null),$(PREFIX)/lib/nbdkit/plugins)

# A program of its own, because it is the only one under the GPL, which liblzo2 brings.
LZO ?= $(shell $(PKGCONFIG) --exists lzo2 2>/dev/null && echo 1 || echo 0)

LIB_PKGS  := zlib liblzma libzstd libdeflate libxxhash libcrypto liblz4 libdivsufsort $(if $(filter 1,$(ISAL)),libisal)
TOOL_PKGS := jansson blkid libcrypto libxml-2.0

WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wvla -Wundef \
	-Wwrite-strings -Wcast-qual -Wformat=2 -Wno-psabi
PKG_CFLAGS := $(shell $(PKGCONFIG) --cflags $(LIB_PKGS) $(TOOL_PKGS) 2>/dev/null)
ALL_CPPFLAGS = -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -Ilibblockz $(if $(filter 1,$(ISAL)),-DBLOCKZ_WITH_ISAL=1,-DBLOCKZ_WITH_ISAL=0) \
	$(PKG_CFLAGS) $(CPPFLAGS)
ALL_CFLAGS   = -std=c11 -pthread -fPIC -fvisibility=hidden $(WARN) $(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-sanitize-recover=all -fno-omit-frame-pointer) $(CFLAGS)
ALL_LDFLAGS  = -pthread $(if $(SANITIZE),-fsanitize=$(SANITIZE)) $(LDFLAGS)
LIB_LIBS     = $(shell $(PKGCONFIG) --libs $(LIB_PKGS))
TOOL_LIBS    = $(shell $(PKGCONFIG) --libs $(TOOL_PKGS))
CHECK_LIBS   = $(shell $(PKGCONFIG) --libs check)

# What a program of somebody else's looks like: no part of the library.
EXAMPLE_SRC := $(wildcard libblockz/examples/*.c)
EXAMPLE_BIN := $(EXAMPLE_SRC:libblockz/examples/%.c=$(BUILD)/examples/%)
LIB_SRC    := $(filter-out $(EXAMPLE_SRC),$(wildcard libblockz/*/*.c libblockz/*/*/*.c))
LIB_OBJ    := $(LIB_SRC:%.c=$(BUILD)/%.o)
INTERNALS  := $(BUILD)/internals.a
# What programs and plugins share, in an archive, from which each takes what it needs.
SHARED_DIRS := bmap cli deltas disks draw files pack patch
SHARED_SRC := $(wildcard $(SHARED_DIRS:%=tools/%/*.c))
SHARED_OBJ := $(SHARED_SRC:%.c=$(BUILD)/%.o)
SHARED     := $(BUILD)/shared.a
TOOLS      := partial-deflate blockz-map blockz-patch blockz-cat blockz-verify blockz-delta blockz-merge
TOOL_BIN   := $(TOOLS:%=$(BUILD)/%)
PLUGIN     := nbdkit-blockz-plugin.so
PLUGIN_OBJ := $(patsubst %.c,$(BUILD)/%.o,$(wildcard tools/nbdkit/*.c tools/servers/*.c))
RAM_PLUGIN := nbdkit-blockz-ram-plugin.so
RAM_OBJ    := $(patsubst %.c,$(BUILD)/%.o,$(wildcard tools/nbdkit-ram/*.c tools/servers/*.c))
# What needs nbdkit, and is of no use without it.
NBD_PLUGINS := $(if $(filter 1,$(NBDKIT)),$(BUILD)/$(PLUGIN) $(BUILD)/$(RAM_PLUGIN))
NBD_BIN    := $(if $(filter 1,$(NBDKIT)),$(NBD_PLUGINS) $(BUILD)/blockz-guestfish)
LZO_BIN    := $(if $(filter 1,$(LZO)),$(BUILD)/blockz-lzo)
UNIT_SRC   := $(wildcard tests/unit/*/test_*.c tests/unit/*/*/test_*.c)
UNIT_BIN   := $(UNIT_SRC:tests/unit/%.c=$(BUILD)/unit/%)
TOOL_TEST_BIN := $(BUILD)/kill-at
UNIT_SUPPORT_SRC := $(filter-out %/short_memory.c,$(wildcard tests/unit/support/*.c))
UNIT_SUPPORT_OBJ := $(UNIT_SUPPORT_SRC:%.c=$(BUILD)/%.o)
PUBLIC_HEADERS := $(wildcard libblockz/blockz*.h)
MAN_PAGES  := $(wildcard tools/man/*.[1-9])

.PHONY: all help tools unit examples demo check matrix bench bench-anywhere bench-delta bench-nbd bench-ram fuzz install uninstall clean prepare
.DELETE_ON_ERROR:
.SECONDARY:

all: $(BUILD)/libblockz.a $(BUILD)/libblockz.so.$(SOVERSION) tools

help:
	@sed -n 's/^#: \{0,1\}//p' Makefile

tools: $(TOOL_BIN) $(NBD_BIN) $(LZO_BIN)
unit: $(UNIT_BIN) $(TOOL_TEST_BIN)
examples: $(EXAMPLE_BIN)

# BUILD may be given as an absolute path or as a relative one: what an object depends on is said of both its names.
$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) -MMD -MP -MT $(@:$(CURDIR)/%=%) -MQ '$(abspath $@)' -c -o $@ $<

# One object, in which names that are not of the public headers have become local: they cannot clash with a program's own.  So no
# group of sections (as i386 has them) may wait for another object's twin of it, nor code for the link to be compiled.
TO_OBJECT = -r -nostdlib -Wl,--force-group-allocation $(if $(findstring -flto,$(CFLAGS)),-flinker-output=nolto-rel)
$(BUILD)/libblockz.o: $(LIB_OBJ)
	$(CC) $(CFLAGS) $(TO_OBJECT) -o $@ $^
	$(OBJCOPY) --localize-hidden $@

$(BUILD)/libblockz.a: $(BUILD)/libblockz.o
	rm -f $@
	$(AR) rcs $@ $^

$(BUILD)/libblockz.so.$(SOVERSION): $(LIB_OBJ) libblockz/libblockz.map
	$(CC) $(ALL_CFLAGS) -shared -Wl,-soname,libblockz.so.$(SOVERSION) -Wl,--version-script,libblockz/libblockz.map \
		-Wl,-z,defs -o $@ $(LIB_OBJ) $(ALL_LDFLAGS) $(LIB_LIBS)
	ln -sf libblockz.so.$(SOVERSION) $(BUILD)/libblockz.so

$(SHARED): $(SHARED_OBJ)
# The library with all its names, for those that test its parts.
$(INTERNALS): $(LIB_OBJ)
$(SHARED) $(INTERNALS):
	rm -f $@
	$(AR) rcs $@ $^

$(TOOL_BIN): $(BUILD)/%: $(BUILD)/tools/%.o $(SHARED) $(BUILD)/libblockz.a
	$(CC) $(ALL_CFLAGS) -o $@ $^ $(ALL_LDFLAGS) $(LIB_LIBS) $(TOOL_LIBS)

$(TOOL_TEST_BIN): $(BUILD)/%: $(BUILD)/tests/tool/%.o
	$(CC) $(ALL_CFLAGS) -o $@ $^ $(ALL_LDFLAGS)

$(EXAMPLE_BIN): $(BUILD)/examples/%: libblockz/examples/%.c $(PUBLIC_HEADERS) $(BUILD)/libblockz.a
	@mkdir -p $(@D)
	$(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) -o $@ $(filter-out %.h,$^) $(ALL_LDFLAGS) $(LIB_LIBS)

$(BUILD)/tools/%.o: PKG_CFLAGS += -Itools
$(BUILD)/tools/nbdkit/%.o $(BUILD)/tools/nbdkit-ram/%.o $(BUILD)/tools/servers/%.o: PKG_CFLAGS += $(shell $(PKGCONFIG) --cflags nbdkit 2>/dev/null)

$(BUILD)/blockz-lzo: $(BUILD)/tools/lzo/blockz-lzo.o
	$(CC) $(ALL_CFLAGS) -o $@ $^ $(ALL_LDFLAGS) $(shell $(PKGCONFIG) --libs lzo2)

# nbdkit brings its own functions, and calls one of ours: the archives' names stay inside.  Behind the objects, since an
# archive gives what those before it lack.  They have a word on the exit status, when nbdkit has closed them.
$(BUILD)/$(PLUGIN): $(PLUGIN_OBJ)
$(BUILD)/$(RAM_PLUGIN): $(RAM_OBJ)
$(NBD_PLUGINS): $(SHARED) $(BUILD)/libblockz.a
	$(CC) $(ALL_CFLAGS) -shared -Wl,--exclude-libs,ALL -Wl,-z,nodelete -o $@ $(filter %.o,$^) $(filter %.a,$^) $(ALL_LDFLAGS) \
		$(LIB_LIBS) $(TOOL_LIBS)

$(BUILD)/blockz-guestfish: tools/blockz-guestfish libblockz/blockz.h
	sed 's|@VERSION@|$(VERSION)|' $< > $@
	chmod +x $@

$(BUILD)/tests/unit/%.o: PKG_CFLAGS += -Itests/unit/support -Itests -Itools

$(UNIT_BIN): $(BUILD)/unit/%: $(BUILD)/tests/unit/%.o $(UNIT_SUPPORT_OBJ) $(SHARED) $(INTERNALS)
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -o $@ $(filter %.o,$^) $(filter %.a,$^) $(ALL_LDFLAGS) $(CHECK_LIBS) $(LIB_LIBS) -lm

$(BUILD)/unit/codec/test_lzo $(BUILD)/unit/codec/test_squashfs_codecs: | $(LZO_BIN)

# Here the program stands between the library and what allocates.
NOMEM_BIN := $(foreach test,$(UNIT_BIN),$(if $(findstring /test_nomem,$(test)),$(test)))
WRAPPED := $(shell sed -n 's/^WRAPPED.[^,]*, \([A-Za-z0-9_]*\), .*/\1/p' tests/unit/support/short_memory.c)
$(NOMEM_BIN): $(BUILD)/tests/unit/support/short_memory.o
$(NOMEM_BIN): ALL_LDFLAGS += $(WRAPPED:%=-Wl$(comma)--wrap=%)

# What is missing is installed first; only then is it known what can be built, so make starts anew.
prepare:
	@tests/prepare

# What they need is built by all CPUs, if make was not told by how many.
BUILD_IT = $(MAKE) --no-print-directory -s $(if $(findstring -j,$(MAKEFLAGS)),,-j"$$(nproc)")

demo: prepare
	@$(BUILD_IT) all
	@tests/demo "$(abspath $(BUILD))"

# Unit tests of an area are those of its folder; other tests say themselves of which areas they are.
AREA ?=
check: prepare
	@$(BUILD_IT) all $(if $(AREA),$(filter $(AREA:%=$(BUILD)/unit/%/test_%),$(UNIT_BIN)) $(TOOL_TEST_BIN),unit) examples
	@tests/run "$(abspath $(BUILD))" $(AREA:%=area:%)

matrix: all
	@tests/prepare guestfish linux-image-amd64 qemu-system-x86
	@tests/run "$(abspath $(BUILD))" matrix

$(BUILD)/spread: $(BUILD)/tests/bench/spread.o $(BUILD)/libblockz.a
	$(CC) $(ALL_CFLAGS) -o $@ $^ $(ALL_LDFLAGS) $(LIB_LIBS)

bench: all $(BUILD)/spread
	@test -n "$(IMAGE)" || { echo "make bench IMAGE=path: the image to measure on" >&2; exit 2; }
	@tests/bench/bench "$(abspath $(BUILD))" "$(IMAGE)"
	@tests/bench/sizes "$(abspath $(BUILD))" "$(IMAGE)"

$(BUILD)/tests/bench/%.o: PKG_CFLAGS += -Itools

$(BUILD)/recompress: $(BUILD)/tests/bench/recompress.o $(SHARED) $(INTERNALS)
	$(CC) $(ALL_CFLAGS) -o $@ $^ $(ALL_LDFLAGS) $(LIB_LIBS)

bench-delta: all $(BUILD)/recompress
	@test -n "$(PAIRS)" || { echo "make bench-delta PAIRS=dir: folders with old.* and new.*" >&2; exit 2; }
	@tests/bench/delta "$(abspath $(BUILD))" "$(PAIRS)"

bench-anywhere: all
	@test -n "$(IMAGE)" || { echo "make bench-anywhere IMAGE=path: the image to measure on" >&2; exit 2; }
	@tests/bench/anywhere "$(abspath $(BUILD))" "$(IMAGE)"

bench-nbd: all
	@test -n "$(IMAGE)" || { echo "make bench-nbd IMAGE=path: the image to measure on" >&2; exit 2; }
	@tests/bench/nbd "$(abspath $(BUILD))" "$(IMAGE)"

$(BUILD)/tests/bench/load.o: PKG_CFLAGS += $(shell $(PKGCONFIG) --cflags libnbd 2>/dev/null)

$(BUILD)/load: $(BUILD)/tests/bench/load.o
	$(CC) $(ALL_CFLAGS) -o $@ $^ $(ALL_LDFLAGS) $(shell $(PKGCONFIG) --libs libnbd)

bench-ram:
	@test -n "$(IMAGE)" || { echo "make bench-ram IMAGE=path: the image to measure on" >&2; exit 2; }
	@tests/prepare libnbd-dev
	@$(MAKE) --no-print-directory -s all $(BUILD)/load
	@tests/bench/ram "$(abspath $(BUILD))" "$(IMAGE)"

FUZZ_SECONDS ?= 20
fuzz: all
	@LIB_LIBS="$(LIB_LIBS) $(TOOL_LIBS)" tests/fuzz/run "$(abspath $(BUILD))" "$(FUZZ_SECONDS)"

# Each in quotes, as folders may have blanks in their names.
INSTALLED = $(TOOLS:%='$(DESTDIR)$(BINDIR)/%') \
	$(patsubst %,'$(DESTDIR)$(LIBDIR)/%',libblockz.a libblockz.so.$(SOVERSION) libblockz.so pkgconfig/blockz.pc) \
	$(PUBLIC_HEADERS:libblockz/%='$(DESTDIR)$(INCDIR)/%') $(EXAMPLE_SRC:libblockz/%='$(DESTDIR)$(DOCDIR)/%') \
	$(NBD_PLUGINS:$(BUILD)/%='$(DESTDIR)$(PLUGINDIR)/%') $(if $(NBD_BIN),'$(DESTDIR)$(BINDIR)/blockz-guestfish') \
	$(LZO_BIN:$(BUILD)/%='$(DESTDIR)$(LIBEXECDIR)/%') \
	$(foreach page,$(MAN_PAGES),'$(DESTDIR)$(MANDIR)/man$(subst .,,$(suffix $(page)))/$(notdir $(page))')

install: all
	install -d '$(DESTDIR)$(BINDIR)' '$(DESTDIR)$(LIBDIR)/pkgconfig' '$(DESTDIR)$(INCDIR)'
	install $(TOOL_BIN) '$(DESTDIR)$(BINDIR)'
ifneq ($(NBD_BIN),)
	install $(BUILD)/blockz-guestfish '$(DESTDIR)$(BINDIR)'
	install -D -t '$(DESTDIR)$(PLUGINDIR)' $(NBD_PLUGINS)
endif
ifneq ($(LZO_BIN),)
	install -D -t '$(DESTDIR)$(LIBEXECDIR)' $(LZO_BIN)
endif
	install -m 644 $(BUILD)/libblockz.a $(BUILD)/libblockz.so.$(SOVERSION) '$(DESTDIR)$(LIBDIR)'
	ln -sf libblockz.so.$(SOVERSION) '$(DESTDIR)$(LIBDIR)/libblockz.so'
	sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@LIBDIR@|$(LIBDIR:$(PREFIX)/%=$${prefix}/%)|' \
		-e 's|@INCDIR@|$(INCDIR:$(PREFIX)/%=$${prefix}/%)|' -e 's|@VERSION@|$(VERSION)|' -e 's|@REQUIRES@|$(LIB_PKGS)|' \
		libblockz/blockz.pc.in | install -m 644 /dev/stdin '$(DESTDIR)$(LIBDIR)/pkgconfig/blockz.pc'
	install -m 644 $(PUBLIC_HEADERS) '$(DESTDIR)$(INCDIR)'
	install -D -m 644 -t '$(DESTDIR)$(DOCDIR)/examples' $(EXAMPLE_SRC)
	set -e; for page in $(MAN_PAGES); do \
		install -D -m 644 $$page '$(DESTDIR)$(MANDIR)'/man$${page##*.}/$${page##*/}; done

# Folders that nobody else has made go too.
uninstall:
	rm -f $(INSTALLED)
	for folder in '$(DESTDIR)$(LIBEXECDIR)' '$(DESTDIR)$(DOCDIR)/examples' '$(DESTDIR)$(DOCDIR)' \
			'$(DESTDIR)$(PREFIX)/lib/nbdkit/plugins' '$(DESTDIR)$(PREFIX)/lib/nbdkit'; do \
		[ ! -d "$$folder" ] || rmdir --ignore-fail-on-non-empty "$$folder"; done

clean:
	rm -rf .build

-include $(shell find .build $(BUILD) -name '*.d' 2>/dev/null | sort -u)
