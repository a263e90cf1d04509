#!/bin/sh
# plant - makes a source with a bug in it, and the list of what it is linked with
#
#   spec/core/explore/plant.sh BUG FOLDER      (make calls it)
#
# The bug is a patch for one file of core/ or lua/binding/. Where it does not fit that
# file any more, to the line, this fails.

set -eu
patch=spec/core/explore/planted/$1.patch
tree=$2/planted/$1.tree
file=$(sed -n 's/^+++ b\///p' "$patch")

rm -rf "$tree"
mkdir -p "$tree"
cp "$file" "$tree/patched.c"
patch --quiet --fuzz=0 "$tree/patched.c" "$patch"
{ echo "#line 1 \"$file\"" && cat "$tree/patched.c"; } >"$tree/part.c"
find "$2" -name planted -prune -o -name '*.o' ! -path "$2/${file%.c}.o" -print >"$tree/others"
