#!/usr/bin/env bash
# Copies what make built: install.sh PREFIX RUNTIME... (DESTDIR is put before everything). LuaJIT reads the folders of Lua 5.1.
# install.sh rock BUILT LIBDIR LUADIR MODULE... for luarocks: these modules from BUILT, and the Lua files that belong to them.
# install.sh files MODULE... lists those files.
set -eu
cd "$(dirname "$0")/.."

# A Lua file that only one module's rock brings; all others come with the core.
owner() {
  case $1 in
    healthauth/stores/sqlite.lua) echo sqlite ;;
    healthauth/stores/redis_driver_hiredis.lua) echo hiredis ;;
    *) echo core ;;
  esac
}
lua_files() { # MODULE...
  local file
  (cd lua && find healthauth -name '*.lua' | LC_ALL=C sort) | while read -r file; do
    case " $* " in *" $(owner "$file") "*) echo "$file" ;; esac
  done
}
copy_modules() { # BUILT LIBDIR MODULE...
  local built=$1 lib=$2 name; shift 2
  for name; do install -D -m 644 "$built/healthauth/$name.so" "$lib/healthauth/$name.so"; done
}
copy_files() { # LUADIR MODULE...
  local to=$1 file; shift
  lua_files "$@" | while read -r file; do install -D -m 644 "lua/$file" "$to/$file"; done
}

case ${1:?install.sh PREFIX RUNTIME...} in
  files) shift; lua_files "$@"; exit ;;
  rock)
    built=$2 lib=${3:?LIBDIR} lua=${4:?LUADIR}; shift 4
    copy_modules "$built" "$lib" "$@"
    copy_files "$lua" "$@"
    exit ;;
esac
prefix=${DESTDIR:-}$1; shift
for runtime; do
  version=${runtime#lua}; [ "$runtime" != luajit ] || version=5.1
  mapfile -t modules < <(cd build/"$runtime"/healthauth && ls -- *.so | sed 's/\.so$//')
  copy_modules build/"$runtime" "$prefix/lib/lua/$version" "${modules[@]}"
  copy_files "$prefix/share/lua/$version" core sqlite hiredis
done
[ ! -f bin/healthauth ] || install -D -m 755 bin/healthauth "$prefix/bin/healthauth"
