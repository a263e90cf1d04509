#!/bin/sh
# run - runs C test programs and, with --specs, busted; counts; says so last
#
#   spec/run.sh [--specs] PROGRAM...      (make test calls it, with BUILD, SAN,
#                                          LUA, PRELOAD and RUNNER in the environment)
#
# A program prints a line 'ok - subject: title' for each guarantee that holds,
# 'not ok - ...' or 'skip - ...' for the others, and answers 0 if none failed.
# One that ends badly without a 'not ok', is killed, or prints no such line at
# all counts as one failure. Only what fails is shown in full.
#
# RUNNER is the command that runs the programs and Lua, if they do not run by themselves:
# qemu-s390x, or valgrind with its options. What cannot be tested there, spec/skips.txt names.

set -u
passed=0 failed=0 skipped=0
log=$BUILD/spec.log
results=$BUILD/results # with --specs every result, after C or Lua; .ci/conformance.lua reads it

limit= # what hangs shall fail
seconds=900
[ -z "${RUNNER-}" ] || seconds=3600 # there all is slower
command -v timeout >/dev/null && limit="timeout -k 5 $seconds"

if [ -n "${RUNNER-}" ]; then
  export SKIPS="$BUILD/skips"
  under=${RUNNER%% *}
  awk -F ' [|] ' -v under="${under##*/}" '!/^#/ && index(under, $1) == 1 { print $2 " | " $3 }' \
    spec/skips.txt >"$SKIPS"
fi

# Each rule of docs/semantics.md that no test of this run has proved is a failure.
conform() {
  $LUA_COMMAND .ci/conformance.lua "$BUILD" >"$BUILD/conformance" 2>&1 && verdict=ok || verdict='NOT OK:'
  missing=$(grep -c '^not ok' "$BUILD/conformance")
  printf '%-14s %4d rules, %d %s\n' conformance "$(grep -c '^ok' "$BUILD/conformance")" "$missing" "missing, $verdict"
  grep -v '^ok' "$BUILD/conformance"
  [ "$verdict" = ok ] && passed=$((passed + 1)) || failed=$((failed + 1))
}

# The whole address sanitizer, leaks included; no effect on a plain build. What is freed is kept for the
# next that asks, and not given to the system, nor for long kept from use: pages cost more than the tests.
keep=allocator_release_to_os_interval_ms=-1
export ASAN_OPTIONS="detect_leaks=1:quarantine_size_mb=16:$keep:${ASAN_OPTIONS-}"
export MSAN_OPTIONS="$keep:${MSAN_OPTIONS-}"
# Else each process sleeps for a second at its end.
export TSAN_OPTIONS="atexit_sleep_ms=0:$keep:${TSAN_OPTIONS-}"
export UBSAN_OPTIONS="print_stacktrace=1:${UBSAN_OPTIONS-}"

count() {
  grep -c "^$1 - " "$log"
}

run() {
  name=$1
  shift
  began=$(date +%s)
  $limit "$@" >"$log" 2>&1 </dev/null
  status=$?
  ok=$(count ok) bad=$(count 'not ok') skip=$(count skip)
  if [ $status -ge 124 ] || [ $((status != 0)) != $((bad != 0)) ] || [ $((ok + bad + skip)) = 0 ]; then
    echo "not ok - $name: ended with status $status after $((ok + bad + skip)) results" >>"$log"
    bad=$((bad + 1))
  fi
  [ $specs = no ] || grep -E '^(ok|not ok|skip) - ' "$log" | sed "s/^/$language /" >>"$results"
  printf '%-14s %4d ok' "$name" "$ok"
  [ $skip = 0 ] || printf ', %d skipped' $skip
  took=$(($(date +%s) - began))
  [ $took -lt 5 ] || printf ', %d s' $took
  [ $bad = 0 ] || printf ', %d NOT OK:' $bad
  echo
  [ $skip = 0 ] || grep '^skip - ' "$log"
  [ $bad = 0 ] || grep -v '^ok - ' "$log"
  passed=$((passed + ok)) failed=$((failed + bad)) skipped=$((skipped + skip))
}

# The thread sanitizer wants its addresses where they are without randomization.
fixed=
[ "${SAN-}" = thread ] && setarch -R true 2>/dev/null && fixed='setarch -R'

# Prints what starts Lua with the sanitizer's runtime loaded before it. There are shells that
# crash with a thread sanitizer in them: there the loader itself brings it, where it can, so
# that children inherit nothing.
lua_command() {
  file=$(command -v "$LUA")
  how="${RUNNER-} ${PRELOAD:+env LD_PRELOAD=$PRELOAD}"
  if [ "${SAN-}" = thread ]; then
    loader=$(readelf -l "$file" | sed -n 's/.*interpreter: \(.*\)]$/\1/p')
    by_loader="$fixed $loader --preload $PRELOAD"
    $by_loader "$file" -e 'require "ctx.core"' && how=$by_loader || how="$fixed $how"
  fi >/dev/null 2>&1
  echo "$how $file"
}

# The Lua that runs and the files it loads are the ones meant.
check_build() {
  loaded=$($LUA_COMMAND -e 'local _, core = require "ctx.core" local _, face = require "ctx"
    io.write(face, ", ", core)' 2>&1)
  meant="lua/ctx.lua, $BUILD/ctx/core.so"
  echo "$($LUA_COMMAND -v | cut -d ' ' -f 1,2): $loaded"
  [ "$loaded" = "$meant" ] && return
  echo "not these, but: $meant"
  failed=$((failed + 1))
}

specs=no
[ "${1-}" = --specs ] && specs=yes && shift

if [ $specs = yes ]; then
  LUA_COMMAND=$(lua_command)
  export LUA_COMMAND # for specs that start a Lua, too
  : >"$results"
  check_build
fi
for program; do
  case $program in */host/*) language=Lua ;; *) language=C ;; esac # a host holds Lua states
  run "${program##*/}" $fixed ${RUNNER-} "$program"
done
language=Lua
[ $specs = yes ] && run specs $LUA_COMMAND spec/run.lua
[ $specs = yes ] && [ "${SAN-}" != thread ] && conform # there, not all specs are run

echo "$passed passed, $failed failed$([ $skipped = 0 ] || echo ", $skipped skipped")"
[ $failed = 0 ] && [ $passed != 0 ]
