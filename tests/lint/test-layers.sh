#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Includes go down only.  Each line of `layers` names the folders of one layer, the highest first; a file may include
# the public headers, its own folder, and folders of lower layers.  Tools include the public headers and each other's.
set -u
cd "$(dirname "$0")/../.." || exit 1

layers=(
	'delta/make delta/apply delta/squashdelta'
	'delta/file delta/differ'
	'container pagestore disk'
	'mapped codec'
	'journal'
	'format/gzip format/xz format/zstd'
	'format/deflate'
	'format'
	'io parallel'
	'range'
	'check'
	'base'
)

# The row that names a format has to see it, and formats see the row: the only two that look at each other.
allowed='format/formats.c'

level() {
	local i
	for i in "${!layers[@]}"; do
		case " ${layers[i]} " in *" $1 "*) echo "$i" && return ;; esac
	done
	echo none
}

bad=0
while read -r file; do
	folder=${file#libblockz/}
	folder=${folder%/*}
	while read -r included; do
		case $included in blockz*.h) continue ;; esac
		target=${included%/*}
		[ "$target" = "$folder" ] && continue
		from=$(level "$folder") to=$(level "$target")
		if [ "$from" = none ] || [ "$to" = none ] || [ "$to" -le "$from" ]; then
			[ "${file#libblockz/}" = "$allowed" ] && continue
			echo "not ok layers: $file includes $included"
			bad=1
		fi
	done < <(sed -n 's/^#include "\(.*\)"/\1/p' "$file")
done < <(find libblockz -mindepth 2 -name '*.[ch]')

while read -r file; do
	while read -r included; do
		case $included in blockz*.h) continue ;; esac
		[ -e "tools/$included" ] && continue
		[ -e "${file%/*}/$included" ] && continue
		echo "not ok layers: $file includes $included"
		bad=1
	done < <(sed -n 's/^#include "\(.*\)"/\1/p' "$file")
done < <(find tools -name '*.[ch]')

[ "$bad" -eq 0 ] && echo "ok layers"
if grep -rnE 'format *== *&|strcmp\(.*"gzip"' libblockz/mapped libblockz/disk tools --include='*.c' --include='*.h'; then
	echo "not ok formats-by-name: mapped/, disk/ and the tools know no format"
else
	echo "ok formats-by-name"
fi
