#!/usr/bin/env bash
# Everything that must be green, side by side: test.sh [JOB ...] (all jobs by default; `test.sh list` names them). A job's output is in
# build/log/JOB.log; a failed one shows the end of it here. The last line adds all runs up. Every job is run by tools/alone.py: nothing that
# it started may outlive it, and none takes longer than LIMIT seconds. Its temporary folder is its own, and empty at its end.
set -u
cd "$(dirname "$0")/.." || exit 2
. tools/common.sh
jobs=${JOBS:-$(nproc)}; [ "$jobs" -ge 2 ] || jobs=2
limit=${LIMIT:-540}
logs=$PWD/build/log; mkdir -p "$logs"
exec 9>"$logs/lock" && flock 9 # two runs in one tree would write over each other's files
started=$SECONDS

# NAME: command. The longest first, so that the short ones fill the gaps. A job without a closing line of its own counts as one.
declare -A job=()
order=()
plan() { order+=("$1"); job[$1]=$2; }
# What runs inside nginx is LuaJIT, whatever drives it: those specs are a job of their own, once (make asan has nginx sanitized, too).
others=$(ls -d spec/*/ spec/*_spec.lua | grep -v '^spec/nginx/' | tr '\n' ' ')
plan spec-asan-lua5.4 "tools/spec.sh lua5.4 build/asan $others"
plan tidy             'JOBS=1 LINT=clang-tidy tools/lint.sh'
plan lint             'JOBS=1 LINT="luacheck cppcheck syntax analyzer" tools/lint.sh'
plan spec-lua5.4      "tools/spec.sh lua5.4 build $others"
plan spec-luajit      "tools/spec.sh luajit build $others"
plan spec-asan-luajit "tools/spec.sh luajit build/asan $others"
plan spec-nginx       'tools/spec.sh luajit build spec/nginx'
plan unit             'tools/unit.sh'
plan sweep            'SPREAD=1 test/sweep.sh all 41 7'
plan faults           'test/faults.sh all 11'
plan faults-asan      'BUILD=build/asan test/faults.sh all 31'
plan rocks            'tools/rocks.sh'
plan fuzz-replay      'tools/fuzz.sh replay'
plan json-agree       'tools/unit.sh build/asan json_judge_main && python3 test/json_agree.py build/asan/test/json_judge_main spec/corpus/json.txt'
plan rings            'tools/rings.sh'
if [ "${1:-}" = list ]; then printf '%s\n' "${order[@]}"; exit; fi
[ $# -eq 0 ] || order=("$@")

# Both builds come first: the jobs only read them.
build() { # NAME COMMAND...
  local name=$1; shift
  if "$@" >"$logs/$name.log" 2>&1; then return; fi
  echo "== $name"; tail -n 40 "$logs/$name.log"; failed=$((failed + 1))
}
build build make --no-print-directory -j"$jobs" all objects
build build-asan make --no-print-directory -j"$jobs" build-asan
[ "$failed" -eq 0 ] || { total; exit 1; }
echo "built in $((SECONDS - started)) s"

# What to show of a failed job, indented: from its first failure on, and its end; all of it is in the file. And the case that a program was
# in when it ended without a word (tools/ci_output.lua).
excerpt() {
  local log=$logs/$1.log from
  echo "---- build/log/$1.log"
  [ ! -s "$logs/$1.now" ] || echo "it ended in: $(cat "$logs/$1.now")"
  from=$(grep -nE -m 1 '^(Failure|Error) ->|^== |: error: |ERROR: |runtime error' "$log" | cut -d : -f 1)
  tail -n +"${from:-1}" "$log" | cut -c 1-600 | awk -v first="${from:+90}" '
    { line[NR] = $0 }
    END { for (i = 1; i <= NR; i++) if (i <= first || i > NR - 40) print line[i]; else if (!cut++) print "..." }'
  echo '----'
}
finish() { # NAME: adds one job up
  local name=$1 log=$logs/$1.log rc
  rc=$(cat "$logs/$name.rc" 2>/dev/null || echo 1)
  case $name in
    json-agree) [ -n "$(closing "$log")" ] || echo "$([ "$rc" -eq 0 ] && echo '1 passed, 0' || echo '0 passed, 1') failed, 0 skipped" >>"$log" ;;
  esac
  if add "$name" "$rc" "$log" >"$logs/note"; then mark=ok; else mark=FAILED; fi
  printf '%-18s %-6s %4s s  %s\n' "$name" "$mark" "$(cat "$logs/$name.time" 2>/dev/null)" "$(sed -n '/passed, .* failed, .* skipped$/h; ${x;p}' "$log")"
  [ "$mark" = ok ] || { { cat "$logs/note"; excerpt "$name"; } | sed 's/^/  /'; }
}

# What a job left in its temporary folder, also a disk that a spec had mounted there.
sweep_up() {
  grep -o " $TMPDIR/[^ ]* " /proc/mounts | xargs -r umount -l
  rm -rf "$TMPDIR"
}

# Sockets lie there, whose paths the kernel wants short; and specs give it to shells.
temporary=${TMPDIR:-/tmp}
case $temporary in *[!a-zA-Z0-9/._-]*) temporary=/tmp ;; esac
[ ${#temporary} -le 40 ] || temporary=/tmp

declare -A running=()
cleanup() { for pid in "${!running[@]}"; do kill "$pid" 2>/dev/null; done; wait; }
trap 'cleanup; exit 130' INT TERM HUP
collect() {
  local pid
  wait -n -p pid "${!running[@]}"
  finish "${running[$pid]}"; unset "running[$pid]"
}
for name in "${order[@]}"; do
  [ -n "${job[$name]:-}" ] || { echo "no such job: $name"; failed=$((failed + 1)); continue; }
  while [ ${#running[@]} -ge "$jobs" ]; do collect; done
  rm -f "$logs/$name.rc" "$logs/$name.now"
  (
    from=$SECONDS
    TMPDIR=$(mktemp -d -p "$temporary") || exit; export TMPDIR
    TEST_NOW=$logs/$name.now python3 tools/alone.py "$limit" bash -c "${job[$name]}" >"$logs/$name.log" 2>&1 </dev/null 9>&- & child=$!
    trap 'kill "$child" 2>/dev/null; wait "$child"; sweep_up; exit 143' TERM
    wait "$child"; rc=$?
    left=$(ls -A "$TMPDIR")
    if [ -n "$left" ]; then echo "left behind in TMPDIR: $left" >>"$logs/$name.log"; [ "$rc" -ne 0 ] || rc=4; fi
    sweep_up
    echo "$rc" >"$logs/$name.rc"; echo $((SECONDS - from)) >"$logs/$name.time"
  ) &
  running[$!]=$name
done
while [ ${#running[@]} -gt 0 ]; do collect; done
echo "$((SECONDS - started)) s"
total
