#!/usr/bin/env bash
# libFuzzer with ASan and UBSan: fuzz.sh SECONDS [TARGET ...] runs each test/fuzz/fuzz_TARGET.c that long; `fuzz.sh replay` runs each over its
# corpus, test/fuzz/corpus/TARGET, and ends. New inputs go to build/fuzz/found/TARGET, a crash to build/fuzz/crash. Says the executions of each
# target and of all.
set -u
cd "$(dirname "$0")/.." || exit 2
. tools/common.sh
seconds=${1:?fuzz.sh SECONDS|replay [TARGET ...]}; shift
build=build/fuzz; flags=(-O1 -g -fno-omit-frame-pointer)
targets=("$@")
if [ $# -eq 0 ]; then mapfile -t targets < <(ls test/fuzz/fuzz_*.c 2>/dev/null | sed 's|.*/fuzz_||; s|\.c$||'); fi
[ ${#targets[@]} -gt 0 ] || { echo 'there is no fuzz target'; exit 1; }
executions=0
mkdir -p $build/bin $build/crash
export ASAN_OPTIONS=detect_leaks=1 UBSAN_OPTIONS=print_stacktrace=1

for target in "${targets[@]}"; do
  file=test/fuzz/fuzz_$target.c; program=$build/bin/$target; log=$build/bin/$target.log
  mapfile -t more < <(parts "$file" | sort -u)
  lua=(); if uses_lua "$file"; then read -ra lua <<<"$(pkg-config --cflags --libs lua5.4)"; fi
  mapfile -t built < <(objects $build src/base/*.c ${more[@]+"${more[@]}"})
  make -s --no-print-directory -j"$(nproc)" "${built[@]}" BUILD=$build CC=clang HARDEN= RUNTIMES=lua5.4 \
    CFLAGS="${flags[*]} -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined" >"$log" 2>&1 &&
  clang -std=c99 -Wall -Wextra -Werror -Isrc -Itest/c -Itest/fuzz "${flags[@]}" -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined \
    -o "$program" "$file" "${built[@]}" $(libraries ${more[@]+"${more[@]}"}) ${lua[@]+"${lua[@]}"} -lm \
    >>"$log" 2>&1 || { echo "== $target does not build"; cat "$log"; failed=$((failed + 1)); continue; }
  corpus=test/fuzz/corpus/$target; inputs=(); mkdir -p "$build/found/$target"
  if [ "$seconds" = replay ]; then
    mapfile -t inputs < <(find "$corpus" -type f 2>/dev/null)
    if [ ${#inputs[@]} -eq 0 ]; then echo "== $target has no corpus"; failed=$((failed + 1)); continue; fi
    "$program" -rss_limit_mb=2048 -timeout=20 -artifact_prefix="$build/crash/$target-" "${inputs[@]}" >"$log" 2>&1
  else
    dict=(); [ -f "test/fuzz/$target.dict" ] && dict=(-dict="test/fuzz/$target.dict")
    dirs=("$build/found/$target"); [ -d "$corpus" ] && dirs+=("$corpus")
    "$program" -max_total_time="$seconds" -rss_limit_mb=2048 -timeout=20 -print_final_stats=1 ${dict[@]+"${dict[@]}"} \
      -artifact_prefix="$build/crash/$target-" "${dirs[@]}" >"$log" 2>&1
  fi
  rc=$?
  count=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log"); count=${count:-${#inputs[@]}}
  if [ $rc -eq 0 ]; then
    passed=$((passed + 1)); executions=$((executions + count)); printf '%-12s %10d executions\n' "$target" "$count"
  else
    failed=$((failed + 1)); echo "== $target (exit $rc)"; tail -n 40 "$log"
  fi
done
printf '%-12s %10d executions\n' all "$executions"
total
