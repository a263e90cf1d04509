#!/bin/sh
# run - explores all scenarios, and each planted bug until it is found
#
#   spec/core/explore/run.sh FOLDER BUG...     (make explore calls it)
#
# With REPLAY=scenario:string in the environment, only that schedule is run; with
# REPLAY=planted/bug:string that of a bug. The last line is 'N passed, N failed'.

set -u
folder=$1
shift
here=spec/core/explore/planted

scenario_of() {
  sed -n 's/^scenario: //p' "$here/$1.patch"
}

case ${REPLAY-} in
'') ;;
planted/*)
  bug=${REPLAY#planted/} string=${REPLAY##*:}
  bug=${bug%%:*}
  [ -f "$here/$bug.patch" ] || { echo "there is no planted bug $bug" >&2; exit 2; }
  "$folder/planted/$bug" "$(scenario_of "$bug"):$string" >"$folder/log"
  status=$?
  sed "/steps,/s|REPLAY=[^:]*|REPLAY=planted/$bug|" "$folder/log"
  exit $status
  ;;
*) exec "$folder/explore" "$REPLAY" ;;
esac

# The long searches beside the others, on a machine with two processors.
log=$folder/log
"$folder/explore" -l >"$folder/long" &
"$folder/explore" -s | tee "$log"
wait
cat "$folder/long" | tee -a "$log"
passed=0 failed=0
for number in $(sed -n 's/^\([0-9]*\) passed, \([0-9]*\) failed$/\1:\2/p' "$log"); do
  passed=$((passed + ${number%:*})) failed=$((failed + ${number#*:}))
done
echo "$(awk '/ threads? / { for (i = 1; i < NF; i++) if ($(i + 1) == "schedules") n += $i } END { print n }' "$log") schedules"

echo
for bug; do
  if "$folder/planted/$bug" -p "$(scenario_of "$bug")" >"$log" 2>&1; then
    passed=$((passed + 1))
    sed "1s/planted/$bug/; /steps,/s|REPLAY=[^:]*|REPLAY=planted/$bug|; /passed/d" "$log"
  else
    failed=$((failed + 1))
    echo "not ok - $bug: not found"
    cat "$log"
  fi
done

echo "${passed:-0} passed, ${failed:-1} failed"
[ "${failed:-1}" = 0 ]
