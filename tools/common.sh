# Sourced by the scripts here, from the root of the project. Nothing runs by itself.

# parts FILE.c...: the sources that test programs need besides ring 0, read from their includes: src/sys/X.c and X_*.c for "sys/X.h" or
# "sys/X_parts.h", and for anything with Lua in it the whole of healthauth.core. Prints paths; no path twice.
parts() {
  local name
  grep -hEo '^#[[:space:]]*include "(sys/[a-z0-9_]+)\.h"' "$@" | sed -E 's/.*"(.*)\.h"/\1/; s/_parts$//' | sort -u |
    while read -r name; do ls "src/$name.c" "src/${name}_"*.c 2>/dev/null; done
  if uses_lua "$@"; then make -s --no-print-directory sources-core | grep -v '^src/base/'; fi
}
uses_lua() { grep -qE '^#[[:space:]]*include ("bind/|<lua|<lauxlib)' "$@"; }

# libraries PATH...: what those sources must be linked with.
libraries() {
  local path
  for path; do
    case $path in
      src/sys/crypto*.c) echo -lcrypto ;;
      src/sys/curl*.c) echo -lcurl ;;
      src/sys/sqlite*.c) echo -lsqlite3 ;;
      src/sys/redis*.c) echo -lhiredis ;;
    esac
  done | sort -u
}

# objects BUILD PATH...: the object that make built of each source.
objects() {
  local build=$1 path; shift
  for path; do
    path=${path#src/}; path=${path%.c}.o
    case $path in bind/*) path=lua5.4/${path#bind/} ;; esac
    echo "$build/obj/$path"
  done
}

# closing FILE: the last closing line of a log as "passed failed skipped", or nothing.
closing() { sed -n 's/^\([0-9]\+\) passed, \([0-9]\+\) failed, \([0-9]\+\) skipped$/\1 \2 \3/p' "$1" | tail -n 1; }

# Totals over several programs: add NAME RC LOG counts LOG's closing line; a program that fails without saying so, says nothing, or
# checked nothing is one failure. total prints the sum and answers whether all is well.
passed=0 failed=0 skipped=0
add() {
  local p f s; read -r p f s <<<"$(closing "$3")"
  if [ -z "${s:-}" ]; then p=0 f=1 s=0; echo "$1: no closing line (exit $2)"
  elif [ "$2" -ne 0 ] && [ "$f" -eq 0 ]; then f=1; echo "$1: exit $2 in spite of its closing line"
  elif [ $((p + f)) -eq 0 ]; then f=1; echo "$1: nothing was checked"; fi
  passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
  [ "$f" -eq 0 ]
}
total() {
  echo "$passed passed, $failed failed, $skipped skipped"
  [ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
}
