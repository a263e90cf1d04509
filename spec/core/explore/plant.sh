#!/bin/sh
# plant - builds the explorer with a bug in the sources
#
#   spec/core/explore/plant.sh BUG FOLDER      (make calls it, with CC and FLAGS)
#
# The bug is a patch for one file of core/ or lua/binding/. One that does not fit any
# more, to the line, fails.

set -eu
bug=$1 folder=$2
patch=spec/core/explore/planted/$bug.patch
file=$(sed -n 's/^+++ b\///p' "$patch")
tree=$folder/planted/$bug.tree
rm -rf "$tree"
mkdir -p "$tree/${file%/*}"
cp "$file" "$tree/$file"
patch --quiet --fuzz=0 --directory="$tree" --strip=1 <"$patch"

# Beside the file lie its headers.
eval "$CC $FLAGS -I${file%/*} -c -o '$tree/part.o' '$tree/$file'"
parts=$(find "$folder/core" "$folder/spec" "$folder/lua" -name '*.o' ! -path "$folder/${file%.c}.o" 2>/dev/null)
$CC -no-pie -o "$folder/planted/$bug" $parts "$tree/part.o"
