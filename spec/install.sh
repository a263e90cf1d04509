#!/bin/sh
# install - what make install puts down can be built against
#
#   spec/install.sh      (make test-install calls it by spec/run.sh, with BUILD, CC,
#                         LUA, LUA_INCDIR and MAKE in the environment)
#
# Installs into a folder of its own, outside the checkout, and builds small programs there
# with nothing but pkg-config to tell where the library is.

set -u
root=$PWD
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
prefix=$tmp/usr/local
failed=0
CXX=${CXX:-c++}
export PKG_CONFIG_PATH=$prefix/lib/pkgconfig LD_LIBRARY_PATH=$prefix/lib
version=$(sed -n 's/^#define CTX_VERSION_[A-Z]* //p' core/ctx.h | paste -sd . -)
soname=libctx.so.${version%%.*}
strict='-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror'

# check TITLE COMMAND...: one guarantee; what the command prints is shown when it fails.
check() {
  title=$1
  shift
  if "$@" >"$tmp/log" 2>&1; then
    echo "ok - install: $title"
  else
    sed 's/^/  /' "$tmp/log"
    echo "not ok - install: $title"
    failed=1
  fi
}

make_() {
  (cd "$root" && $MAKE --no-print-directory DESTDIR= PREFIX="$prefix" "$@")
}

# The files of a folder are those of the list on standard input.
files_are() {
  (cd "$1" && find . ! -type d | sed 's/^..//' | LC_ALL=C sort) >"$tmp/files"
  diff - "$tmp/files"
}

# One source and one header, of any compiler's liking, that give away no other name.
amalgamation() {
  make_ amalgamation BUILD="$tmp/build" || return
  printf '%s\n' '#include "ctx.h"' 'int main(void)' '{' \
    '  ctx_context *c = ctx_with_timeout(ctx_background(), CTX_MS(1));' \
    '  int err = ctx_wait(c, CTX_NEVER);' '  ctx_release(c);' '  return err != CTX_DEADLINE_EXCEEDED;' '}' \
    >"$tmp/build/amalgamation/main.c"
  (
    cd "$tmp/build/amalgamation" || exit
    for cc in "$CC" $(command -v clang); do
      $cc -c ctx.c -pthread || exit
      $cc -std=c11 -Wall -Wextra -Werror -c ctx.c -pthread || exit
      $cc main.c ctx.o -pthread -o main && ./main || exit
      if nm -g --defined-only ctx.o | awk '{ print $NF }' | grep -v '^ctx_'; then exit 1; fi
    done
  )
}

c_library() {
  make_ install || return
  files_are "$prefix" <<END
include/ctx.h
lib/libctx.a
lib/libctx.so
lib/$soname
lib/libctx.so.$version
lib/pkgconfig/ctx.pc
END
}

staged() {
  make_ install DESTDIR="$tmp/stage" PREFIX=/opt/ctx LIBDIR=/opt/ctx/lib64 || return
  ! grep -r "$tmp" "$tmp/stage/opt/ctx/lib64/pkgconfig" || return
  cat "$tmp/stage/opt/ctx/lib64/pkgconfig/ctx.pc"
  found=$(PKG_CONFIG_PATH=$tmp/stage/opt/ctx/lib64/pkgconfig pkg-config --cflags --libs ctx)
  [ "$(echo $found)" = '-I/opt/ctx/include -L/opt/ctx/lib64 -lctx' ]
}

cat >"$tmp/ten.c" <<'END'
#include <ctx.h>
#include <stdio.h>
int main(void)
{
  ctx_context *c = ctx_with_timeout(ctx_background(), CTX_SECONDS(60));
  bool first = ctx_cancel(c);
  printf("%s: %s\n", ctx_version(), ctx_strerror(ctx_wait(c, CTX_NEVER)));
  ctx_release(c);
  return first ? 0 : 1;
}
END

# says COMMAND...: the program prints what it is to print.
says() {
  printed=$("$@") || return
  echo "$printed"
  [ "$printed" = "$version: context canceled" ]
}

# ten COMPILER [OPTION]...: the ten lines, built with the shared library, run.
ten() {
  "$@" $strict "$tmp/ten.c" $(pkg-config --cflags --libs ctx) -o "$tmp/ten" || return
  says "$tmp/ten" && readelf -d "$tmp/ten" | grep "NEEDED.*\[$soname\]"
}

# The same without any shared library.
ten_static() {
  "$@" $strict -static "$tmp/ten.c" $(pkg-config --static --cflags --libs ctx) -o "$tmp/ten" || return
  says env LD_LIBRARY_PATH= "$tmp/ten" && ! readelf -d "$tmp/ten" | grep NEEDED
}

# names_are PATTERN NAMES: there are names, and all of them fit.
names_are() {
  echo "$2"
  [ -n "$2" ] && ! echo "$2" | grep -Evx "$1"
}

names_in_shared() {
  names_are 'ctx_[a-z0-9_]+' "$(nm -D --defined-only "$prefix/lib/libctx.so" | awk '{ print $NF }')"
}

names_in_static() {
  names_are "$2" "$(nm -g --defined-only "$prefix/lib/$1" | awk 'NF == 3 { print $3 }')"
}

# Both libraries define what ctx.h declares.
names_in_header() {
  $CC -E "$prefix/include/ctx.h" | grep -v '^#' | tr '\n' ' ' | tr ';' '\n' |
    grep -o 'visibility("default"))) .*' | grep -o 'ctx_[a-z0-9_]*(' | tr -d '(' | sort -u >"$tmp/declared"
  [ -s "$tmp/declared" ] || return
  nm -D --defined-only "$prefix/lib/libctx.so" | awk '{ print $NF }' | sort | diff "$tmp/declared" - || return
  nm -g --defined-only "$prefix/lib/libctx.a" | awk 'NF == 3 { print $3 }' | sort | diff "$tmp/declared" -
}

soname_is() {
  readelf -d "$prefix/lib/libctx.so" | grep "SONAME.*\[$soname\]" &&
    readelf -d "$prefix/lib/libctx.so" | grep 'FLAGS_1.*NODELETE'
}

# No call among the library's own functions can be caught by another copy of them.
calls_stay_inside() {
  ! readelf -rW "$prefix/lib/libctx.so" | grep -E ' ctx_'
}

cat >"$tmp/two.c" <<'END'
#include <ctx.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

/* The functions of one copy. */
struct copy {
  ctx_context *(*background)(void);
  ctx_context *(*with_timeout)(ctx_context *, int64_t);
  ctx_hook *(*after_func)(ctx_context *, ctx_hook_fn *, void *, unsigned);
  int (*wait)(ctx_context *, int64_t);
  bool (*hook_stop_wait)(ctx_hook *);
  void (*hook_release)(ctx_hook *);
  void (*release)(ctx_context *);
};

static void *find(void *library, const char *name)
{
  void *f = dlsym(library, name);
  if (f == NULL) abort();
  return f;
}

static void count(ctx_context *c, void *n)
{
  (void)c;
  __atomic_add_fetch((int *)n, 1, __ATOMIC_RELAXED);
}

/* A deadline that the thread of this copy sees; how many hooks have run. */
static int use(const struct copy *the)
{
  int n = 0;
  ctx_context *c = the->with_timeout(the->background(), CTX_MS(1));
  ctx_hook *h = the->after_func(c, count, &n, 0);
  the->wait(c, CTX_NEVER);
  while (__atomic_load_n(&n, __ATOMIC_RELAXED) == 0) the->wait(the->background(), CTX_MS(1));
  the->hook_stop_wait(h);
  the->hook_release(h);
  the->release(c);
  return n;
}

int main(int argc, char **argv)
{
  const struct copy linked = {ctx_background,     ctx_with_timeout, ctx_after_func, ctx_wait,
                              ctx_hook_stop_wait, ctx_hook_release, ctx_release};
  void *library = argc > 1 ? dlopen(argv[1], RTLD_NOW | RTLD_LOCAL) : NULL;
  struct copy other;
  if (library == NULL) return 2;
  *(void **)&other.background = find(library, "ctx_background");
  *(void **)&other.with_timeout = find(library, "ctx_with_timeout");
  *(void **)&other.after_func = find(library, "ctx_after_func");
  *(void **)&other.wait = find(library, "ctx_wait");
  *(void **)&other.hook_stop_wait = find(library, "ctx_hook_stop_wait");
  *(void **)&other.hook_release = find(library, "ctx_hook_release");
  *(void **)&other.release = find(library, "ctx_release");
  if (other.background == linked.background) return 3;
  if (other.background() == linked.background()) return 4;
  if (use(&linked) != 1 || use(&other) != 1 || use(&linked) != 1) return 5;
  dlclose(library);
  if (use(&linked) != 1) return 6;
  if (use(&other) != 1) return 7; /* it is still there, and its thread as well */
  puts("both");
  return 0;
}
END

two_copies() {
  cp "$prefix/lib/libctx.so.$version" "$tmp/libother.so"
  $CC "$tmp/two.c" $(pkg-config --cflags --libs ctx) -ldl -o "$tmp/two" || return
  "$tmp/two" "$tmp/libother.so"
}

lua_part() {
  make_ install-lua || return
  cmp lua/ctx_lua.h "$prefix/include/ctx_lua.h" || return
  (cd "$root/lua" && ls ctx.lua ctx/*.lua) >"$tmp/meant"
  (cd "$prefix/share/lua/5.4" && find . -type f | sed 's/^..//' | LC_ALL=C sort) | diff "$tmp/meant" - || return
  [ -s "$prefix/lib/lua/5.4/ctx/core.so" ] && [ -s "$prefix/lib/libctx_lua.a" ]
}

module_loads() {
  cd "$tmp" || return
  said=$(LUA_PATH_5_4="$prefix/share/lua/5.4/?.lua" LUA_CPATH_5_4="$prefix/lib/lua/5.4/?.so" "$LUA" -e '
    local _, core = require "ctx.core"
    local ctx = require "ctx"
    local c, cancel = ctx.with_cancel(ctx.background())
    cancel()
    print(c:done(), core)')
  cd "$root" || return
  echo "$said"
  [ "$said" = "true	$prefix/lib/lua/5.4/ctx/core.so" ]
}

cat >"$tmp/host.c" <<'END'
#include <ctx_lua.h>
#ifdef __cplusplus
#include <lua.hpp>
#else
#include <lauxlib.h>
#include <lualib.h>
#endif
static int cancel(lua_State *L)
{
  lua_pushboolean(L, ctx_cancel(ctx_lua_check(L, 1)));
  return 1;
}
int main()
{
  lua_State *L = luaL_newstate();
  ctx_context *c = ctx_with_cancel(ctx_background());
  luaL_openlibs(L);
  if (ctx_lua_open(L, c) != LUA_OK) return luaL_error(L, "%s", lua_tostring(L, -1));
  lua_register(L, "cancel", cancel);
  ctx_lua_push(L, c);
  lua_setglobal(L, "c");
  if (luaL_dostring(L, "assert(require 'ctx'.root() == c and not c:done() and cancel(c) and c:done())"))
    return luaL_error(L, "%s", lua_tostring(L, -1));
  int err = ctx_err(c);
  lua_close(L);
  ctx_release(c);
  return err == CTX_CANCELED ? 0 : 1;
}
END

# host COMPILER [OPTION]...: a program that embeds Lua, with the binding in libctx_lua.a.
host() {
  "$@" "$tmp/host.c" -I"$LUA_INCDIR" $(pkg-config --cflags ctx-lua) $libraries $lualib -lm -pthread -o "$tmp/host" &&
    LUA_PATH_5_4="$prefix/share/lua/5.4/?.lua" "$tmp/host"
}

host_shared() {
  libraries=$(pkg-config --libs ctx-lua)
  host "$@" && readelf -d "$tmp/host" | grep "NEEDED.*\[$soname\]"
}

host_static() {
  libraries="-L$prefix/lib -lctx_lua -Wl,-Bstatic -lctx -Wl,-Bdynamic -ldl"
  host "$@" && ! readelf -d "$tmp/host" | grep "$soname"
}

nothing_left() {
  make_ uninstall && files_are "$prefix" </dev/null
}

check 'two files of the amalgamation make a program, and give away ctx_ names alone' amalgamation
check 'the C library lies under PREFIX' c_library
check 'DESTDIR and LIBDIR are kept apart' staged
check 'ten lines of C run with the shared library' ten $CC -std=c11
check 'the same as C++' ten $CXX -x c++ -std=c++11
check 'ten lines of C run with the static library' ten_static $CC -std=c11
check 'the same as C++, statically' ten_static $CXX -x c++ -std=c++11
check 'the shared library gives away ctx_ names alone' names_in_shared
check 'so does the static one' names_in_static libctx.a 'ctx_[a-z0-9_]+'
check 'both give away what ctx.h declares' names_in_header
check 'the soname has the first number of the version, and it is not unloaded' soname_is
check 'its own calls stay inside' calls_stay_inside
check 'a second copy lives beside the first, and on after dlclose' two_copies
if [ -n "$LUA_INCDIR" ]; then
  check 'the module, and what embeds it, lie under PREFIX' lua_part
  check 'require finds the installed module' module_loads
  check 'libctx_lua.a gives away its entry and ctx_lua_ names alone' \
    names_in_static libctx_lua.a 'luaopen_ctx_core|ctx__?lua_[a-z0-9_]+'
  lualib=${LUA_LIB:-$(sh .ci/deps lualib)}
fi
if [ -n "${lualib-}" ]; then
  check 'a host links the binding with the shared library' host_shared $CC
  check 'a host in C++ does' host_shared $CXX -x c++ -Wall -Wextra -Wpedantic -Werror
  check 'a host links the binding with the static library' host_static $CC
else
  echo 'skip - install: a host links the binding (there is no library of Lua 5.4)'
fi
check 'uninstall leaves nothing' nothing_left
exit $failed
