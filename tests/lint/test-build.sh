#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# What the build promises: exported symbols, headers that stand alone, an install that can be undone.
set -u
cd "$(dirname "$0")/../.." || exit 1
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

verdict() {
	if [ "$1" -eq 0 ]; then echo "ok $2"; else echo "not ok $2: $3"; fi
}

declared=$(grep -oE '\bblockz_[a-z_]+\(' libblockz/blockz.h | tr -d '(' | sort -u)
mapped=$(grep -oE '\bblockz_[a-z_]+;' libblockz/libblockz.map | tr -d ';' | sort -u)
exported=$(nm -D --defined-only "$BLOCKZ_BIN/libblockz.so.1" | awk '$2 == "T" { sub(/@.*/, "", $3); print $3 }' | sort -u)
[ "$declared" = "$mapped" ]
verdict $? symbol-map "blockz.h and libblockz.map differ"
[ "$exported" = "$mapped" ]
verdict $? exported-symbols "the library and libblockz.map differ: $(diff <(echo "$exported") <(echo "$mapped") | tr '\n' ' ')"
nm -D --defined-only "$BLOCKZ_BIN/libblockz.so.1" | awk '$2 ~ /[BD]/' | grep -q . && state=1 || state=0
verdict "$state" no-global-state "the library exports data"

failed=''
while read -r header; do
	printf '#include "%s"\nint unused;\n' "${header#libblockz/}" |
		gcc -std=c11 -D_GNU_SOURCE -DBLOCKZ_WITH_ISAL=0 -Wall -Wextra -Werror -Ilibblockz -x c -c -o /dev/null - ||
		failed+=" $header"
done < <(find libblockz -name '*.h')
[ -z "$failed" ]
verdict $? headers-alone "$failed"
printf '#include "blockz.h"\nint unused;\n' | g++ -Wall -Wextra -Wpedantic -Werror -Ilibblockz -x c++ -c -o /dev/null -
verdict $? header-in-c++ "blockz.h does not compile as C++"

make -s install DESTDIR="$tmp/root" PREFIX=/opt/blockz BUILD="$BLOCKZ_BIN" >"$tmp/log" 2>&1
verdict $? install "$(tail -n 3 "$tmp/log" | tr '\n' ' ')"
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
# shellcheck disable=SC2046
gcc "$tmp/user.c" -o "$tmp/user" $(pkg-config --cflags --libs blockz) &&
	[ "$(LD_LIBRARY_PATH=$tmp/root/opt/blockz/lib "$tmp/user")" = "gzip $(sed -n 's/.*BLOCKZ_VERSION "\(.*\)"/\1/p' libblockz/blockz.h)" ]
verdict $? use-installed "a program built with pkg-config does not run"
unset PKG_CONFIG_PATH PKG_CONFIG_SYSROOT_DIR
make -s uninstall DESTDIR="$tmp/root" PREFIX=/opt/blockz BUILD="$BLOCKZ_BIN"
[ -z "$(find "$tmp/root" ! -type d)" ]
verdict $? uninstall "left: $(find "$tmp/root" ! -type d | tr '\n' ' ')"
