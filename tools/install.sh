#!/usr/bin/env bash
# Copies what make built: install.sh PREFIX RUNTIME... (DESTDIR is put before everything). LuaJIT reads the folders of Lua 5.1.
set -eu
cd "$(dirname "$0")/.."
prefix=${DESTDIR:-}${1:?install.sh PREFIX RUNTIME...}; shift
for runtime; do
  version=${runtime#lua}; [ "$runtime" != luajit ] || version=5.1
  for module in build/"$runtime"/healthauth/*.so; do
    install -D -m 644 "$module" "$prefix/lib/lua/$version/healthauth/$(basename "$module")"
  done
  (cd lua && find healthauth -name '*.lua') | while read -r file; do
    install -D -m 644 "lua/$file" "$prefix/share/lua/$version/$file"
  done
done
[ ! -f bin/healthauth ] || install -D -m 755 bin/healthauth "$prefix/bin/healthauth"
