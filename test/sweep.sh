#!/usr/bin/env bash
# The allocation sweep: sweep.sh RUNTIME|all [STRIDE [FIRST [NAME]]]; RUNTIME is lua5.4, lua5.1 or luajit. Stride 1 fails every allocation.
# SPREAD=1 spreads the scenarios over the runtimes: each runs on one of them.
# BUILD=build/cov counts what it reaches (tools/coverage.sh).
# lua-cjson leaks its own buffer when Lua's allocator fails inside it: that is the one suppression.
set -u
cd "$(dirname "$0")/.." || exit 2
. tools/common.sh
runtimes=("${1:?sweep.sh RUNTIME|all [STRIDE [FIRST [NAME]]]}"); shift
[ "${runtimes[0]}" = all ] && runtimes=(lua5.4 lua5.1 luajit)
folder=$(mktemp -d -p /dev/shm 2>/dev/null || mktemp -d) || exit 2
trap 'rm -rf "$folder"' EXIT
build=${BUILD:-build/asan}; mkdir -p $build/test
warn=(-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wwrite-strings -Werror)
flags=(-O1 -g -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer) target=build-asan
if [ "$build" = build/cov ]; then flags=(-O0 -g --coverage) target=build-cov; fi
printf '%s\n' 'leak:cjson.so' >$build/test/sweep.supp
export LSAN_OPTIONS=suppressions=$build/test/sweep.supp:print_suppressions=0 ASAN_OPTIONS=detect_leaks=1:malloc_context_size=6 UBSAN_OPTIONS=print_stacktrace=1

export SWEEP_PARTS=1 SWEEP_PART=0
[ -z "${SPREAD:-}" ] || SWEEP_PARTS=${#runtimes[@]} SWEEP_PART=-1
for vm in "${runtimes[@]}"; do
  [ -z "${SPREAD:-}" ] || SWEEP_PART=$((SWEEP_PART + 1))
  version=5.1; [ "$vm" = lua5.4 ] && version=5.4
  sources=$(for module in core curl sqlite hiredis; do make -s --no-print-directory "sources-$module"; done | sort -u); built=()
  for path in $sources; do
    path=${path#src/}; path=${path%.c}.o
    case $path in bind/*) path=$vm/${path#bind/} ;; esac
    built+=("$build/obj/$path")
  done
  log=$build/test/sweep-$vm.build
  make -s --no-print-directory -j2 "$target" ONLY="${built[*]}" RUNTIMES="$vm" >"$log" 2>&1 || { cat "$log"; failed=$((failed + 1)); continue; }
  for name in kept sweep; do
    program=$build/test/$name-$vm; log=$program.log
    gcc -std=c99 "${warn[@]}" -Isrc $(pkg-config --cflags "$vm") "${flags[@]}" -o "$program" "test/c/$name.c" test/c/sweep_server.c "${built[@]}" \
      $(pkg-config --libs "$vm") -lcurl -lsqlite3 -lhiredis -lcrypto -lpthread -lm -ldl >"$log" 2>&1 ||
      { echo "== $vm: $name does not build"; cat "$log"; failed=$((failed + 1)); continue; }
    LUA_PATH="$PWD/lua/?.lua;$PWD/lua/?/init.lua;$PWD/?.lua" \
      LUA_CPATH="/usr/lib/x86_64-linux-gnu/lua/$version/?.so;/usr/local/lib/lua/$version/?.so" \
      SWEEP_FOLDER=$folder SWEEP_PIN=/usr/lib/x86_64-linux-gnu/lua/$version/cjson.so "$program" test/c/sweep.lua "$@" >"$log" 2>&1; rc=$?
    if add "$name-$vm" "$rc" "$log"; then echo "$name, $vm: $(tail -n 2 "$log" | head -n 1)"; else tail -n 60 "$log"; fi
  done
done
total
