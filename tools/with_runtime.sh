#!/usr/bin/env bash
# Runs a Lua program of this tree: with_runtime.sh lua5.4|luajit PROGRAM [ARGUMENTS]. BUILD is the folder of the modules (build).
set -u
cd "$(dirname "$0")/.." || exit 2
runtime=${1:?with_runtime.sh lua5.4|luajit PROGRAM}; shift
export HEALTHAUTH_RUNTIME=$runtime LC_ALL=C.UTF-8
export LUA_PATH="$PWD/lua/?.lua;$PWD/lua/?/init.lua;$PWD/?.lua;;" LUA_CPATH="$PWD/${BUILD:-build}/$runtime/?.so;;"
unset LUA_PATH_5_4 LUA_CPATH_5_4 LUA_INIT LUA_INIT_5_4
exec "$runtime" "$@"
