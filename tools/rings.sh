#!/usr/bin/env bash
# Proves the rings by symbols: ring 0 uses libc alone, ring 1 its one library and no Lua, ring 2 libc and Lua; a module shows one symbol,
# needs no library but its own, leaves nothing undefined but Lua's names, and is hardened (tools/hardened.sh). rings.sh [BUILD], after `make all objects`.
set -u
cd "$(dirname "$0")/.." || exit 2
. tools/common.sh
. tools/hardened.sh
build=${1:-build}; work=$build/rings; mkdir -p "$work"
say() { # WHAT FINDINGS: no findings are good
  if [ -z "$2" ]; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "$1: $(tr '\n' ' ' <<<"$2")"; fi
}
undefined() { nm -u "$1" | awk '{ print $2 }' | sort -u; }
defined() { nm --defined-only -g "$@" | awk 'NF == 3 { print $3 }' | sort -u; }

mapfile -t all < <(ls src/base/*.c src/sys/*.c; ls src/bind/*.c)
for path in "${all[@]}"; do
  [ -s "$(objects "$build" "$path")" ] || { echo "$(objects "$build" "$path") is not there: make all objects"; exit 1; }
done

# What libc (with its libm) offers, taken from it, so that "libc alone" is no list of forbidden names.
libc=$(ldd /bin/sh | awk '/libc\.so/ { print $3 }')
{ nm -D --defined-only "$libc" "${libc/libc.so/libm.so}" | awk '{ sub(/@.*/, "", $3); print $3 }'
  printf '%s\n' _GLOBAL_OFFSET_TABLE_ __stack_chk_fail; } | sort -u >"$work/libc"
{ cat "$work/libc"; defined $(objects "$build" src/base/*.c); } | sort -u >"$work/base"
{ cat "$work/base"; defined $(objects "$build" src/sys/*.c); } | sort -u >"$work/sys"
{ cat "$work/sys"; defined $(objects "$build" src/bind/*.c); } | sort -u >"$work/bind"

for path in "${all[@]}"; do
  ring=$(basename "$(dirname "$path")")
  case $path in
    src/sys/crypto*.c) own='(EVP|RAND|HMAC|SHA256|CRYPTO|OPENSSL|ERR|OSSL)(_[A-Za-z0-9_]+)?' ;;
    src/sys/curl*.c) own='curl_[a-z0-9_]+' ;;
    src/sys/sqlite*.c) own='sqlite3_[a-z0-9_]+' ;;
    src/sys/redis*.c) own='redis[A-Za-z]+|freeReplyObject|sds[a-z]+' ;;
    src/bind/*) own='luaL?_[a-z]+' ;;
    *) own='nothing' ;;
  esac
  object=$(objects "$build" "$path"); others=$object
  [ "$ring" = bind ] && others="$object ${object/lua5.4/luajit}"
  for object in $others; do
    say "$object uses what ring $ring must not" "$(undefined "$object" | comm -23 - "$work/$ring" | grep -vxE "$own")"
  done
  case $ring in
    base) say "$path includes an outer ring" "$(grep -nE '^#[[:space:]]*include ("(\.\./)*(sys|bind)/|<lua|<lauxlib|<curl|<openssl|<sqlite|<hiredis)' "$path")" ;;
    sys) say "$path includes an outer ring" "$(grep -nE '^#[[:space:]]*include ("(\.\./)*bind/|<lua|<lauxlib)' "$path")" ;;
  esac
done

modules=$(ls "$build"/*/healthauth/core.so 2>/dev/null)
[ -n "$modules" ] || { echo 'healthauth.core was not built'; failed=$((failed + 1)); }
for module in $(ls "$build"/*/healthauth/*.so 2>/dev/null); do
  say "$module" "$(module_findings "$module")"
done
say "a build" "$(compile_findings all)"
total
