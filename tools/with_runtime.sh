#!/usr/bin/env bash
# Runs a Lua program of this tree: with_runtime.sh lua5.4|luajit PROGRAM [ARGUMENTS]. BUILD is the folder of the modules (build).
set -u
cd "$(dirname "$0")/.." || exit 2
runtime=${1:?with_runtime.sh lua5.4|luajit PROGRAM} build=${BUILD:-build}; shift
. tools/runtime_env.sh
exec "$runtime" "$@"
