#!/usr/bin/env bash
# Runs the specs on one runtime: spec.sh lua5.4|luajit [BUILD [busted arguments or files ...]]. BUILD is build, build/asan or build/cov.
# Files run in the order of their names, which is the same in every checkout. RUN_UNDER is a program to run the runtime under, such as
# valgrind (tools/valgrind.sh).
set -u
cd "$(dirname "$0")/.." || exit 2
runtime=${1:?spec.sh lua5.4|luajit [BUILD [files]]} build=${2:-build}; shift; shift 2>/dev/null
. tools/runtime_env.sh
program=$(command -v "$runtime") || { echo "$runtime is not installed"; exit 2; }
read -ra run_under <<<"${RUN_UNDER:-}"
[ "$build" != build/asan ] || . tools/asan_env.sh
[ $# -gt 0 ] || set -- spec
exec ${run_under[@]+"${run_under[@]}"} "$program" /usr/bin/busted -o tools/ci_output.lua --sort-files --pattern=_spec "$@"
