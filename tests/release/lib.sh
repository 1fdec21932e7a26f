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
