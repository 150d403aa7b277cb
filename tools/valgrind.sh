#!/usr/bin/env bash
# The specs under valgrind, both runtimes, on the plain build: no error and no definite leak. valgrind.sh [FILE ...] takes some specs only.
set -u
cd "$(dirname "$0")/.." || exit 2
. tools/common.sh
mkdir -p build/log
for runtime in lua5.4 luajit; do
  log=build/log/valgrind-$runtime.log
  RUN_UNDER="valgrind -q --leak-check=full --errors-for-leak-kinds=definite --error-exitcode=9 --keep-debuginfo=yes --log-file=$log.memory" \
    tools/spec.sh "$runtime" build "$@" >"$log" 2>&1; rc=$?
  echo "$runtime: $(tail -n 1 "$log")"
  add "$runtime" "$rc" "$log" || { tail -n 30 "$log"; head -n 60 "$log.memory"; }
done
total
