# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
#
# What tests of the nbdkit plugin with large programs share; see tests/tool/lib.sh for the rest.
# shellcheck source=tests/tool/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../tool/lib.sh"
# shellcheck disable=SC2034 # of those who source this
plugin=$BLOCKZ_BIN/nbdkit-blockz-plugin.so
export LIBGUESTFS_BACKEND=direct LIBGUESTFS_BACKEND_SETTINGS=force_tcg # works everywhere

# needs NAME PROGRAM...: ends the test as skipped where the plugin or a program is missing.
needs() {
	local name=$1 program
	shift
	if [ ! -e "$plugin" ]; then
		skip "$name" "the plugin was not built, as nbdkit's development files were missing"
		exit 0
	fi
	for program in nbdkit "$@"; do
		command -v "$program" >/dev/null && continue
		skip "$name" "there is no $program here"
		exit 0
	done
}

# served ARGUMENT... -- COMMAND: runs the shell command while nbdkit serves with these arguments.
served() {
	local args=()
	while [ "$1" != -- ]; do
		args+=("$1")
		shift
	done
	nbdkit -U - "$plugin" "${args[@]}" --run "$2"
}

# mounted FILE PARTITION COMMAND...: runs the command while the partition in FILE is the file mnt/disk.
mounted() {
	local file=$1 partition=$2 server result
	shift 2
	mkdir mnt
	nbdfuse -P .log/pid mnt/disk --command nbdkit -s "$plugin" "$file" range="$partition" &
	server=$!
	until [ -e .log/pid ] || ! kill -0 $server 2>/dev/null; do sleep 0.05; done
	"$@"
	result=$?
	fusermount3 -u mnt && wait $server || return 1
	rm -f .log/pid
	rmdir mnt
	return $result
}
