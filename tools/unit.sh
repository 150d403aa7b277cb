#!/usr/bin/env bash
# Builds test/c/*_test.c against the objects of one build and runs them: unit.sh [BUILD [NAME ...]]. BUILD is build/asan (the default) or
# build/cov. NAME is a file of test/c without .c; a NAME_main is a program for another test: built here, run there.
set -u
cd "$(dirname "$0")/.." || exit 2
. tools/common.sh
build=${1:-build/asan}; shift
[ $# -gt 0 ] || set -- $(cd test/c && ls *_test.c | sed 's/\.c$//')
compile=(-O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=undefined); link=("${compile[@]}") target=build-asan
if [ "$build" = build/cov ]; then compile=(-O0 -g) link=(--coverage) target=build-cov; fi # the programs themselves are not counted
mkdir -p "$build/test"
warn=(-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wwrite-strings -Werror)

for name; do
  file=test/c/$name.c; log=$build/test/$name.log
  mapfile -t more < <(parts "$file" | sort -u)
  lua=(); if uses_lua "$file"; then read -ra lua <<<"$(pkg-config --cflags --libs lua5.4)"; fi
  mapfile -t libs < <(libraries ${more[@]+"${more[@]}"})
  mapfile -t built < <(objects "$build" src/base/*.c ${more[@]+"${more[@]}"})
  make -s --no-print-directory "$target" ONLY="${built[*]}" >"$log" 2>&1 || { echo "== $name: its parts do not build"; cat "$log"; failed=$((failed + 1)); continue; }
  gcc -std=c99 "${warn[@]}" -Isrc -Itest/c "${compile[@]}" -c -o "$build/test/$name.o" "$file" ${lua[@]+"${lua[@]}"} 2>"$log" &&
    gcc "${link[@]}" -o "$build/test/$name" "$build/test/$name.o" "${built[@]}" \
      ${libs[@]+"${libs[@]}"} ${lua[@]+"${lua[@]}"} -lm 2>>"$log" || { echo "== $name does not build"; cat "$log"; failed=$((failed + 1)); continue; }
  case $name in *_main) passed=$((passed + 1)); continue ;; esac
  "$build/test/$name" >"$log" 2>&1; rc=$?
  echo "== $name: $(tail -n 1 "$log")"
  add "$name" "$rc" "$log" || cat "$log"
done
total
