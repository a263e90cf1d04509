#!/bin/sh
# run - targets of libFuzzer, two at a time: what is known first, then SECONDS of what is new
#
#   run.sh SECONDS TARGET...
#
# The inputs of spec/fuzz/corpus/TARGET.txt are run first. New ones that reach more are kept in
# $BUILD/fuzz/corpus/TARGET; one that fails lies in $BUILD/fuzz, and the target runs it again
# when it is given as the argument. The last line is 'N passed, N failed'.

seconds=$1
shift
out=$BUILD/fuzz

# The longest input of target $1.
length() {
  case $1 in program) echo 800 ;; wheel) echo 400 ;; *) echo 300 ;; esac
}

# Runs target $1; its answer goes into a file.
fuzz() {
  rm -rf "$out/known/$1" "$out/$1.answer"
  mkdir -p "$out/known/$1" "$out/corpus/$1"
  "$LUA" spec/fuzz/corpus.lua unpack "spec/fuzz/corpus/$1.txt" "$out/known/$1" &&
    "$out/$1" -max_total_time="$seconds" -max_len="$(length "$1")" -len_control=0 -timeout=25 \
      -print_final_stats=1 -artifact_prefix="$out/$1-" "$out/corpus/$1" "$out/known/$1" >"$out/$1.log" 2>&1
  echo $? >"$out/$1.answer"
}

tell() {
  known=$(ls "$out/known/$1" | wc -l)
  if [ "$(cat "$out/$1.answer")" = 0 ]; then
    passed=$((passed + 1))
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$out/$1.log")
    echo "ok - $1: $runs inputs, $((known)) of them known, in $seconds s"
  else
    failed=$((failed + 1))
    tail -n 60 "$out/$1.log"
    echo "not ok - $1: see $out/$1.log"
  fi
}

passed=0 failed=0
while [ $# -gt 0 ]; do
  fuzz "$1" &
  [ $# = 1 ] || fuzz "$2" &
  wait
  tell "$1"
  [ $# = 1 ] || tell "$2"
  shift
  [ $# = 0 ] || shift
done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
