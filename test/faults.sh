#!/usr/bin/env bash
# Lets system calls fail under sessions, transports, stores and files: faults.sh RUNTIME|all [STRIDE [NAME]]; BUILD is the build to use
# (build, build/asan). Stride 1 tries every fault. The driver is test/faults/run.lua.
set -u
cd "$(dirname "$0")/.." || exit 2
. tools/common.sh
runtimes=("${1:?faults.sh RUNTIME|all [STRIDE [NAME]]}"); shift
[ "${runtimes[0]}" = all ] && runtimes=(lua5.4 luajit)
build=${BUILD:-build}; mkdir -p "$build/test"
shim=$PWD/$build/test/faults_shim.so
gcc -std=gnu99 -O2 -g -fPIC -shared -Wall -Wextra -Wshadow -Wstrict-prototypes -Werror -o "$shim" test/faults/shim.c -ldl || exit 2
folder=$(mktemp -d -p /dev/shm 2>/dev/null || mktemp -d) || exit 2
trap 'rm -rf "$folder"' EXIT

for runtime in "${runtimes[@]}"; do
  ( . tools/runtime_env.sh
    export FAULTS_FOLDER=$folder/$runtime; mkdir "$FAULTS_FOLDER"
    load=$shim
    if [ "$build" = build/asan ]; then
      load="$(gcc -print-file-name=libasan.so) $shim"
      export ASAN_OPTIONS=detect_leaks=1:exitcode=99 UBSAN_OPTIONS=print_stacktrace=1
    fi
    exec env LD_PRELOAD="$load" "$(command -v "$runtime")" test/faults/run.lua "$@"
  ) >"$folder/$runtime.log" 2>"$folder/$runtime.err" </dev/null; rc=$?
  log=$folder/$runtime.log
  if add "faults-$runtime" "$rc" "$log"; then echo "== $runtime"; sed '$d' "$log"; else tail -n 60 "$log"; echo "last: $(tr -d '\0' <"$folder/$runtime/now")"; fi
  # Nobody writes to standard error, whatever fails.
  if [ -s "$folder/$runtime.err" ]; then echo "$runtime: on standard error:"; head -n 40 "$folder/$runtime.err"; failed=$((failed + 1)); fi
done
total
