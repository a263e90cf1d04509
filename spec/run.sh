#!/bin/sh
# run - runs C test programs and, with --specs, busted; counts; says so last
#
#   spec/run.sh [--specs] PROGRAM...      (make test calls it, with BUILD, LUA
#                                          and PRELOAD in the environment)
#
# A program prints a line 'ok - subject: title' for each guarantee that holds,
# 'not ok - ...' or 'skip - ...' for the others, and answers 0 if none failed.
# One that ends badly without a 'not ok', is killed, or prints no such line at
# all counts as one failure. Only what fails is shown in full.

set -u
passed=0 failed=0 skipped=0
log=$BUILD/spec.log

limit= # what hangs shall fail
command -v timeout >/dev/null && limit='timeout -k 5 900'

# The whole address sanitizer, leaks included; no effect on a plain build.
export ASAN_OPTIONS="detect_leaks=1:${ASAN_OPTIONS-}"
export UBSAN_OPTIONS="print_stacktrace=1:${UBSAN_OPTIONS-}"

count() {
  grep -c "^$1 - " "$log"
}

run() {
  name=$1
  shift
  $limit "$@" >"$log" 2>&1 </dev/null
  status=$?
  ok=$(count ok) bad=$(count 'not ok') skip=$(count skip)
  if [ $status -ge 124 ] || [ $((status != 0)) != $((bad != 0)) ] || [ $((ok + bad + skip)) = 0 ]; then
    echo "not ok - $name: ended with status $status after $((ok + bad + skip)) results" >>"$log"
    bad=$((bad + 1))
  fi
  printf '%-12s %4d ok' "$name" "$ok"
  [ $skip = 0 ] || printf ', %d skipped' $skip
  [ $bad = 0 ] || printf ', %d NOT OK:' $bad
  echo
  [ $bad = 0 ] || grep -v '^ok - ' "$log"
  passed=$((passed + ok)) failed=$((failed + bad)) skipped=$((skipped + skip))
}

lua() {
  env LD_PRELOAD="${PRELOAD-}" "$LUA" "$@"
}

# The Lua that runs and the files it loads are the ones meant.
check_build() {
  loaded=$(lua -e 'local _, core = require "ctx.core" local _, face = require "ctx"
    io.write(face, ", ", core)' 2>&1)
  meant="lua/ctx.lua, $BUILD/ctx/core.so"
  echo "$("$LUA" -v | cut -d ' ' -f 1,2): $loaded"
  [ "$loaded" = "$meant" ] && return
  echo "not these, but: $meant"
  failed=$((failed + 1))
}

specs=no
[ "${1-}" = --specs ] && specs=yes && shift

[ $specs = yes ] && check_build
for program; do run "${program##*/}" "$program"; done
[ $specs = yes ] && run specs env LD_PRELOAD="${PRELOAD-}" "$LUA" spec/run.lua

echo "$passed passed, $failed failed$([ $skipped = 0 ] || echo ", $skipped skipped")"
[ $failed = 0 ] && [ $passed != 0 ]
