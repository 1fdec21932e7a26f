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
as_mapped symbol-map "$(grep -oE '\bblockz_[a-z_]+\(' libblockz/blockz.h | tr -d '(' | sort -u)"
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
printf '#include "blockz.h"\nint unused;\n' >"$tmp/header.cc"
holds header-in-c++ "blockz.h does not compile as C++" g++ -Wall -Wextra -Wpedantic -Werror -Ilibblockz -c -o /dev/null "$tmp/header.cc"

# ---- Installing

make -s install DESTDIR="$tmp/root" PREFIX=/opt/blockz BUILD="$BLOCKZ_BIN" >"$tmp/log" 2>&1
holds install "$(tail -n 3 "$tmp/log" | tr '\n' ' ')" [ -e "$tmp/root/opt/blockz/bin/blockz-map" ]
cat >"$tmp/user.c" <<'END'
#include <blockz.h>
#include <stdio.h>
int main(void)
{
	printf("%s %s\n", blockz_format_at(0)->name, BLOCKZ_VERSION);
	return 0;
}
END
export PKG_CONFIG_PATH=$tmp/root/opt/blockz/lib/pkgconfig PKG_CONFIG_SYSROOT_DIR=$tmp/root
usable() {
	# shellcheck disable=SC2046
	gcc "$tmp/user.c" -o "$tmp/user" $(pkg-config --cflags --libs blockz) &&
		[ "$(LD_LIBRARY_PATH=$tmp/root/opt/blockz/lib "$tmp/user")" = "gzip $(sed -n 's/.*BLOCKZ_VERSION "\(.*\)"/\1/p' libblockz/blockz.h)" ]
}
holds use-installed "a program built with pkg-config does not run" usable
unset PKG_CONFIG_PATH PKG_CONFIG_SYSROOT_DIR
make -s uninstall DESTDIR="$tmp/root" PREFIX=/opt/blockz BUILD="$BLOCKZ_BIN"
left=$(find "$tmp/root" ! -type d)
holds uninstall "left: $left" [ -z "$left" ]
