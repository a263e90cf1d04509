#!/bin/sh
# asserting - all tests with a Lua that checks itself, and each use of its C interface
#
#   spec/asserting.sh FOLDER     (make test-asserting calls it)
#
# Builds Debian's Lua 5.4 with LUAI_ASSERT and LUA_USE_APICHECK in FOLDER: a stack that a function of C
# has made no room for, or an object that the collector must not see, ends the program there and then.
# Where apt-get cannot get the sources, all is skipped.

set -u
folder=$(mkdir -p "$1" && cd "$1" && pwd) || exit

# apt-get with a list of its own: one of Debian's sources.
apt() {
  apt-get -q -o Dir::Etc::sourcelist="$folder/sources.list" -o Dir::Etc::sourceparts=/dev/null \
    -o Dir::State::lists="$folder/lists" -o APT::Sandbox::User="$(id -un)" "$@"
}

fetch() {
  [ -e "$folder/fetched" ] && return
  mkdir -p "$folder/lists/partial"
  suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
  keys=/usr/share/keyrings/debian-archive-keyring.gpg
  echo "deb-src [signed-by=$keys] http://deb.debian.org/debian $suite main" >"$folder/sources.list"
  (cd "$folder" && apt update && apt --download-only source lua5.4) >"$folder/fetch.log" 2>&1 && >"$folder/fetched"
}

# As Debian's, with its patches, but for how it is built.
unpack() (
  rm -rf "$folder/source" && mkdir "$folder/source" && cd "$folder/source" || return
  tar -xf ../lua5.4_*.orig.tar.* --strip-components=1 && tar -xf ../lua5.4_*.debian.tar.* || return
  grep -v build-system debian/patches/series | while read -r patch; do
    patch -s -p1 <"debian/patches/$patch" || exit
  done
)

build() (
  cd "$folder/source/src" || return
  flags='-std=gnu99 -O1 -g -fPIC -DLUA_USE_LINUX -DLUA_COMPAT_5_3 -DLUAI_ASSERT -DLUA_USE_APICHECK'
  for file in *.c; do
    echo "$file"
  done | xargs -P 2 -I{} ${CC:-cc} $flags -c {} || return
  rm -f luac.o
  ${CC:-cc} -Wl,-E -o "$folder/lua" ./*.o -lm -ldl && rm lua.o &&
    ${CC:-cc} -shared -o "$folder/liblua_asserting.so" ./*.o -lm -ldl
)

if ! fetch; then
  tail -n 2 "$folder/fetch.log"
  echo "skip - asserting: apt-get source lua5.4 gets no sources here"
  exit 0
fi
if ! [ -e "$folder/liblua_asserting.so" ]; then
  unpack && build || { echo "not ok - asserting: Lua with assertions is not built"; exit 1; }
fi

# What does not concern Lua may be short.
export STRESS_CALLS=100000 ROUNDS=1000 WHEEL_STEPS=1000000
exec $MAKE --no-print-directory test BUILD="$BUILD/asserting" LUA="$folder/lua" \
  LUA_INCDIR="$folder/source/src" LUA_LIB="-L$folder -llua_asserting -Wl,-rpath,$folder" \
  CPPFLAGS='-DLUAI_ASSERT -DLUA_USE_APICHECK'
