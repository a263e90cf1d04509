#!/bin/sh
# machines - the C tests on other machines, each by its cross compiler
#
#   spec/machines.sh NAME...     (make test-machines calls it)
#
#   i686     words of 32 bits
#   time64   the same with a time_t of 64 bits, as Debian 13 has it on 32-bit ARM
#   aarch64  another order of memory
#   s390x    the other order of bytes
#
# qemu plays the machines whose programs do not run here. A machine whose compiler is missing is
# skipped. The last line is 'N passed, N failed'.

set -u
passed=0 failed=0 skipped=0
log=$BUILD/machines.log

# What takes long here takes very long in qemu.
export STRESS_CALLS=1000000 WHEEL_STEPS=1000000 ROUNDS=2000 EXITS=20 UNLOADS=50

describe() {
  flags=-DSLOW=20
  case $1 in
    i686)    machine=i686 loader=ld-linux.so.2 qemu=qemu-i386 libc=i386 ;;
    time64)  machine=i686 loader=ld-linux.so.2 qemu=qemu-i386 libc=i386
             flags="$flags -D_FILE_OFFSET_BITS=64 -D_TIME_BITS=64" ;;
    aarch64) machine=aarch64 loader=ld-linux-aarch64.so.1 qemu=qemu-aarch64 libc=arm64 ;;
    s390x)   machine=s390x loader=ld64.so.1 qemu=qemu-s390x libc=s390x ;;
    *)       echo "machines: $1 is none of i686, time64, aarch64, s390x" >&2; exit 2 ;;
  esac
  folder=/usr/$machine-linux-gnu/lib
}

# Its programs run here by themselves, or qemu is here to play them.
find_runner() {
  runner=
  "$folder/$loader" --version >/dev/null 2>&1 && return
  runner=$qemu
  command -v $qemu >/dev/null
}

for name; do
  describe "$name"
  if ! command -v $machine-linux-gnu-gcc >/dev/null || ! [ -e $folder/$loader ] || ! find_runner; then
    echo "skip - machines: $name: apt-get install gcc-$machine-linux-gnu libc6-dev-$libc-cross qemu-user"
    skipped=$((skipped + 1))
    continue
  fi
  echo "== $name${runner:+, played by $runner}"
  start=$(date +%s)
  $MAKE --no-print-directory test-core CC=$machine-linux-gnu-gcc WERROR=1 BUILD="$BUILD/$name" RUNNER="$runner" \
    CPPFLAGS="$flags" LDFLAGS="-Wl,-rpath,$folder -Wl,--dynamic-linker=$folder/$loader" >"$log" 2>&1
  status=$?
  grep -v '^[^ ]*-gcc ' "$log"
  echo "== $name: $(($(date +%s) - start)) s"
  counts=$(sed -n 's/^\([0-9]*\) passed, \([0-9]*\) failed.*/\1 \2/p' "$log" | tail -n 1)
  ok=${counts% *} bad=${counts#* }
  [ $status = 0 ] || [ "${bad:-0}" != 0 ] || bad=1
  passed=$((passed + ${ok:-0})) failed=$((failed + ${bad:-0}))
done

echo "$passed passed, $failed failed$([ $skipped = 0 ] || echo ", $skipped machines skipped")"
[ $failed = 0 ]
