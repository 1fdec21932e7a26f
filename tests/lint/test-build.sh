#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# What the build promises: exported symbols, headers that stand alone, an install that can be undone.
set -u
cd "$(dirname "$0")/../.." || exit 1
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# holds NAME WHY COMMAND...: the command succeeds.
holds() {
	if "${@:3}"; then echo "ok $1"; else echo "not ok $1: $2"; fi
}

# as_mapped NAME NAMES: these are the names in libblockz.map.
as_mapped() {
	holds "$1" "it and libblockz.map differ: $(diff <(echo "$2") <(echo "$mapped") | tr '\n' ' ')" [ "$2" = "$mapped" ]
}

# ---- Symbols

mapped=$(grep -oE '\bblockz_[a-z_]+;' libblockz/libblockz.map | tr -d ';' | sort -u)
exported=$(nm -D --defined-only "$BLOCKZ_BIN/libblockz.so.1" | awk 'NF == 3 && $2 != "A" { sub(/@.*/, "", $3); print $2, $3 }')
as_mapped symbol-map "$(grep -ohE '\bblockz_[a-z_]+\(' libblockz/blockz*.h | tr -d '(' | sort -u)"
as_mapped exported-symbols "$(sed -n 's/^T //p' <<<"$exported" | sort -u)"
as_mapped archived-symbols "$(nm -g --defined-only "$BLOCKZ_BIN/libblockz.a" | awk 'NF == 3 { print $3 }' | sort -u)"
holds no-global-state "the library exports data" [ -z "$(grep '^[BD] ' <<<"$exported")" ]

# What is compiled as it is linked (-flto) keeps what is public, and nothing else.
make -s BUILD="$(realpath --relative-to=. "$tmp")" CFLAGS='-O1 -flto' LIB_SRC='libblockz/format/formats.c libblockz/base/fault.c' \
	"$(realpath --relative-to=. "$tmp")/libblockz.a" 2>"$tmp/log"
late=$(nm -g --defined-only "$tmp/libblockz.a" | awk 'NF == 3 { print $3 }')
holds late-symbols "no blockz_format_at: $(cat "$tmp/log") $late" grep -qx blockz_format_at <<<"$late"
holds late-symbols-alone "$late" [ -z "$(grep -vxF "$mapped" <<<"$late")" ]

# ---- Headers

failed=''
while read -r header; do
	printf '#include "%s"\nint unused;\n' "${header#libblockz/}" |
		gcc -std=c11 -D_GNU_SOURCE -DBLOCKZ_WITH_ISAL=0 -Wall -Wextra -Werror -Ilibblockz -x c -c -o /dev/null - ||
		failed+=" $header"
done < <(find libblockz -name '*.h')
holds headers-alone "$failed" [ -z "$failed" ]
failed=''
while read -r source; do
	gcc -std=c11 -D_GNU_SOURCE -DBLOCKZ_WITH_ISAL=0 -Wall -Wextra -Werror -Ilibblockz -c -o /dev/null "$source" || failed+=" $source"
done < <(grep -rl BLOCKZ_WITH_ISAL libblockz --include='*.c')
holds sources-without-isal "do not compile where ISA-L is not:$failed" [ -z "$failed" ]
printf '#include "%s"\n' blockz{,_disk,_delta,_pages}.h >"$tmp/header.cc"
holds header-in-c++ "the public headers do not compile as C++" g++ -Wall -Wextra -Wpedantic -Werror -Ilibblockz -c -o /dev/null "$tmp/header.cc"

# ---- What is compiled later, by clang and for benchmarks

failed=''
for source in tests/fuzz/*.c tests/bench/recompress.c; do
	# shellcheck disable=SC2046
	gcc -std=c11 -D_GNU_SOURCE -Ilibblockz -Itools $(pkg-config --cflags libxml-2.0) -Werror=implicit-function-declaration -fsyntax-only \
		"$source" 2>"$tmp/log" || failed+=" $source: $(grep -m 1 error "$tmp/log")"
done
holds compiled-later "$failed" [ -z "$failed" ]

# ---- Installing

version=$(sed -n 's/.*BLOCKZ_VERSION "\(.*\)"/\1/p' libblockz/blockz.h)
cat >"$tmp/user.c" <<'END'
#include <blockz.h>
#include <stdio.h>
int main(void)
{
	printf("%s %s\n", blockz_format_at(0)->name, BLOCKZ_VERSION);
	return 0;
}
END

# make_quietly GOAL VARIABLE=VALUE...: nothing is built for it, and what it says is in $tmp/log.
make_quietly() {
	make -s "$@" BUILD="$(realpath --relative-to=. "$BLOCKZ_BIN")" >"$tmp/log" 2>&1
}

# usable PREFIX LIBDIR SYSROOT: a program is built with what pkg-config says, and runs.
usable() {
	local -x PKG_CONFIG_PATH=$3$2/pkgconfig PKG_CONFIG_SYSROOT_DIR=$3
	# shellcheck disable=SC2046
	gcc "$tmp/user.c" -o "$tmp/user" $(pkg-config --cflags --libs blockz) &&
		[ "$(LD_LIBRARY_PATH=$3$2 "$tmp/user")" = "gzip $version" ] && [ "$(pkg-config --variable=prefix blockz)" = "$3$1" ]
}

# examples_usable DOCDIR LIBDIR SYSROOT: each installed example is built by the command in its opening comment.
examples_usable() {
	local -x PKG_CONFIG_PATH=$3$2/pkgconfig PKG_CONFIG_SYSROOT_DIR=$3
	local example command count=0
	for example in "$3$1"/examples/*.c; do
		command=$(sed -n 's/^ \* compile: //p' "$example")
		[ -n "$command" ] && (cd "$3$1/examples" && eval "$command -Wall -Wextra -Werror") || return 1
		rm "${example%.c}"
		count=$((count + 1))
	done
	[ $count -eq 6 ]
}

# gone NAME FOLDER: of all that was installed nothing is left but folders that others may use too.
gone() {
	local left
	left=$(find "$2" ! -type d -o -name '*blockz*' -o -name '*nbdkit*')
	holds "$1" "left: $(tr '\n' ' ' <<<"$left")" [ -z "$left" ]
}

# Into a package, by its maintainer, with folders of his own, whatever the umask is.
root=$tmp/root
folders=(DESTDIR="$root" PREFIX=/opt/some LIBDIR=/opt/some/lib/here INCDIR=/opt/include)
(umask 077; make_quietly install "${folders[@]}")
holds install "$(tail -n 3 "$tmp/log" | tr '\n' ' ')" [ -e "$root/opt/some/bin/blockz-map" ]
closed=$(find "$root" -mindepth 1 ! -type l ! -perm -444)
holds install-for-all "closed to others: $closed" [ -z "$closed" ]
holds use-installed "a program built with pkg-config does not run" usable /opt/some /opt/some/lib/here "$root"
holds examples-installed "an example is not built by its own command" \
	examples_usable /opt/some/share/doc/blockz /opt/some/lib/here "$root"
make_quietly uninstall "${folders[@]}"
gone uninstall "$root"

# By a plain user, below his home, which has a blank in its name: all of it, and it works from there.
home="$tmp/her home"
make_quietly install PREFIX="$home"
holds install-home "$(tail -n 3 "$tmp/log" | tr '\n' ' ')" [ -e "$home/bin/blockz-map" ]
if [ -e "$BLOCKZ_BIN/nbdkit-blockz-plugin.so" ]; then
	holds plugin-home "no plugin in $home/lib" [ -e "$home/lib/nbdkit/plugins/nbdkit-blockz-plugin.so" ]
fi
if [ -e "$BLOCKZ_BIN/blockz-lzo" ]; then
	mksquashfs tests/lint "$tmp/image" -comp lzo -quiet -no-progress >"$tmp/log" 2>&1
	holds helper-home "the helper is not found" "$home/bin/blockz-delta" -q --expand "$tmp/image" "$tmp/expanded"
	rm "$home/libexec/blockz/blockz-lzo"
	cp "$BLOCKZ_BIN/blockz-lzo" "$tmp"
	(cd "$tmp" && PATH=$tmp:$PATH "$home/bin/blockz-delta" --force --expand image expanded 2>log)
	holds helper-of-nobody "that of the current folder is taken" grep -q 'needs the program blockz-lzo' "$tmp/log"
fi
make_quietly uninstall PREFIX="$home"
gone uninstall-home "$home"

# ---- A folder with a blank in its name

# make_elsewhere GOAL: in a copy of the tree, which has been built.
make_elsewhere() {
	make -s -C "$tmp/a tree" BUILD=.build/some "$@" >"$tmp/log" 2>&1
}
mkdir -p "$tmp/a tree/.build/some"
cp -a libblockz tools tests Makefile "$tmp/a tree"
cp -a "$BLOCKZ_BIN/libblockz" "$BLOCKZ_BIN/tools" "$tmp/a tree/.build/some"
touch "$tmp/a tree/libblockz/base/fault.c"
make_elsewhere .build/some/blockz-cat
holds build-with-blanks "$(tail -n 3 "$tmp/log" | tr '\n' ' ')" [ -x "$tmp/a tree/.build/some/blockz-cat" ]
holds built-with-blanks "it is not up to date" make_elsewhere -q .build/some/libblockz/base/fault.o
touch "$tmp/a tree/libblockz/base/fault.h"
make_elsewhere -q .build/some/libblockz/base/fault.o
holds depends-with-blanks "a header is not seen" [ $? -eq 1 ]
make_elsewhere BUILD="$tmp/a tree/x" help
holds blanks-refused "$(cat "$tmp/log")" grep -q 'knows no names with blanks' "$tmp/log"
