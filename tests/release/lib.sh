# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
#
# What tests against an older release share: those of tool tests, and its programs.
# shellcheck source=tests/tool/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../tool/lib.sh"

release=$("$tree/tests/old-release" 2>.log/old-release)
case $? in
0) ;;
77)
	skip "${self##*/}" "$(tail -n 1 .log/old-release)"
	exit 0
	;;
*)
	not_ok "${self##*/}" "$(tail -n 1 .log/old-release)"
	exit 1
	;;
esac

# old PROGRAM ARGUMENT...: the program as it was in that release.
old() {
	"$release/$1" "${@:2}"
}

# ours PROGRAM ARGUMENT...: the program of this tree.
ours() {
	"$@"
}

# as_before NAME SUFFIX OPTION...: what is written of disk.img is what that release wrote, byte for byte: people encode again by
# level alone.  The older program runs on one thread and this on three.
as_before() {
	local name=$1 suffix=$2
	shift 2
	old partial-deflate -q -T1 "$@" disk.img old"$suffix" 2>.log/err || not_ok "$name" "0.1.0: $(tail -n 1 .log/err)"
	ours partial-deflate -q -T3 "$@" disk.img ours"$suffix" 2>.log/err || not_ok "$name" "$(tail -n 1 .log/err)"
	same "$name" <(sha256sum <old"$suffix") <(sha256sum <ours"$suffix")
	rm -f old"$suffix" ours"$suffix"
}
