#!/usr/bin/env bash
# Lines and branches of src/ reached by the specs (both runtimes), the C unit tests, and a part of the faults and of the
# allocation sweep; fails below MIN_LINES and MIN_BRANCHES per cent (98 and 90 unless told), or when a test fails. What was not reached is in
# build/cov/missed.txt.
set -u
cd "$(dirname "$0")/.." || exit 2
. tools/common.sh
build=build/cov; mkdir -p build/log
make --no-print-directory build-cov >build/log/cov-build.log 2>&1 || { tail -n 20 build/log/cov-build.log; exit 1; }
find $build -name '*.gcda' -delete

# Two at a time, as the specs wait a good part of theirs.
part() { # NAME COMMAND...
  local name=$1; shift
  "$@" >"build/log/cov-$name.log" 2>&1; echo $? >"build/log/cov-$name.rc"
}
{ part lua5.4 tools/spec.sh lua5.4 $build; part unit tools/unit.sh $build; BUILD=$build part faults test/faults.sh luajit 31; } &
{ part luajit tools/spec.sh luajit $build; for vm in lua5.4 luajit; do BUILD=$build part "sweep-$vm" test/sweep.sh $vm 5; done; } &
wait
for name in lua5.4 luajit unit faults sweep-lua5.4 sweep-luajit; do
  add $name "$(cat build/log/cov-$name.rc)" build/log/cov-$name.log || tail -n 40 build/log/cov-$name.log
done
total
python3 tools/coverage.py $build "${MIN_LINES:-98}" "${MIN_BRANCHES:-90}" && [ "$failed" -eq 0 ]
