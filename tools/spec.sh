#!/usr/bin/env bash
# Runs the specs on one runtime: spec.sh lua5.4|luajit [BUILD [busted arguments or files ...]]. BUILD is build, build/asan or build/cov.
# With build/asan the sanitizer is loaded into this runtime alone (and into its namesakes that specs start), not into other programs.
set -u
cd "$(dirname "$0")/.." || exit 2
runtime=${1:?spec.sh lua5.4|luajit [BUILD [files]]}; build=${2:-build}; shift; shift 2>/dev/null
root=$PWD
export HEALTHAUTH_RUNTIME=$runtime HEALTHAUTH_BUILD=$root/$build LC_ALL=C.UTF-8
export LUA_PATH="$root/lua/?.lua;$root/lua/?/init.lua;$root/?.lua;;" LUA_CPATH="$root/$build/$runtime/?.so;;"
unset LUA_PATH_5_4 LUA_CPATH_5_4 LUA_INIT LUA_INIT_5_4
if [ "$build" = build/asan ]; then
  . tools/asan_env.sh
fi
[ $# -gt 0 ] || set -- spec
# RUN_UNDER: a program to run the runtime under, such as valgrind (tools/valgrind.sh).
exec ${RUN_UNDER:-} "$runtime" /usr/bin/busted -o tools/ci_output.lua --pattern=_spec "$@"
