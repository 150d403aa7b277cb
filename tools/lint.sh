#!/usr/bin/env bash
# Every static check, without findings: luacheck, cppcheck, gcc -fanalyzer and clang-tidy, each over every file. lint.sh [FILE.c ...] looks
# at these C files only; LINT="clang-tidy analyzer" names the checks to make. The warning list itself is part of every build (Makefile).
set -u
cd "$(dirname "$0")/.." || exit 2
. tools/common.sh
jobs=${JOBS:-$(nproc)}
mkdir -p build/lint

# One file through one tool. Ring 2 is read as Lua 5.4 and as LuaJIT, the tests as they are built.
one() {
  local tool=$1 file=$2 vm out; shift 2
  local flags=(-std=c99 -Isrc -Itest/c -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wwrite-strings)
  local vms=(lua5.4); case $file in src/bind/*) vms=(lua5.4 luajit) flags+=(-include tools/lint_lua.h) ;; esac
  for vm in "${vms[@]}"; do
    case $tool in
      tidy) out=$(clang-tidy --quiet "$file" -- "${flags[@]}" $(pkg-config --cflags "$vm") 2>&1) || { echo "$out"; return 1; } ;;
      analyzer)
        out=$(gcc "${flags[@]}" $(pkg-config --cflags "$vm") -O2 -fanalyzer -Werror -c -o /dev/null "$file" 2>&1) || { echo "$out"; return 1; } ;;
    esac
  done
}
if [ "${1:-}" = --one ]; then shift; one "$@"; exit; fi

c_files=("$@"); all=; [ $# -gt 0 ] || { all=1; mapfile -t c_files < <(ls src/*/*.c test/c/*.c test/fuzz/*.c test/faults/*.c bench/*.c 2>/dev/null); }
wanted=${LINT:-luacheck cppcheck syntax analyzer clang-tidy}
check() { # NAME COMMAND...
  local name=$1 log=build/lint/$1.log rc; shift
  case " $wanted " in *" $name "*) ;; *) return ;; esac
  "$@" >"$log" 2>&1; rc=$?
  if [ $rc -eq 0 ]; then passed=$((passed + 1)); echo "$name: no findings"; else failed=$((failed + 1)); echo "== $name"; cat "$log"; fi
}
each() { printf '%s\n' "${c_files[@]}" | xargs -r -P "$jobs" -n 1 "$0" --one "$1"; }

if [ -n "$all" ]; then
  check luacheck luacheck -q --no-color .
  check cppcheck cppcheck -q -j "$jobs" --std=c99 --enable=warning,performance,portability --inline-suppr --error-exitcode=1 \
    --suppress=missingIncludeSystem --library=posix --library=tools/lint_lua.cfg -D__GNUC__ -DLUA_VERSION_NUM=504 \
    -DLIBCURL_VERSION_NUM=0x075801 -Isrc -Itest/c "${c_files[@]}"
  mapfile -t scripts < <(ls tools/*.sh test/*.sh .ci/run 2>/dev/null)
  check syntax bash -n "${scripts[@]}"
fi
check analyzer each analyzer
check clang-tidy each tidy
total
