# Sourced by tools/spec.sh: sets run_under so that the sanitizer is loaded into the runtime, and puts wrappers of the runtimes first on PATH
# so that it is also in those that specs start, and in nothing else: the small library takes LD_PRELOAD out of the environment again as soon
# as the process runs, so openssl, nginx or a shell are not sanitized (their leaks are not ours). A luajit that a spec starts is not searched
# for leaks: it may end without closing its state, and LuaJIT's memory, which holds the last pointers, is not the sanitizer's to read.
asan_bin=$PWD/build/asan/bin
asan_load="$(gcc -print-file-name=libasan.so) $asan_bin/forget.so"
mkdir -p "$asan_bin"
printf '%s\n' '#include <stdlib.h>' '__attribute__((constructor)) static void forget(void) { unsetenv("LD_PRELOAD"); }' |
  gcc -shared -fPIC -O2 -x c -o "$asan_bin/forget.$$" - && mv "$asan_bin/forget.$$" "$asan_bin/forget.so" || exit 2
for asan_vm in lua5.4 luajit; do
  asan_more=; [ $asan_vm = lua5.4 ] || asan_more='ASAN_OPTIONS="$ASAN_OPTIONS:detect_leaks=0"'
  printf '#!/bin/sh\n%s LD_PRELOAD="%s" exec %s "$@"\n' "$asan_more" "$asan_load" "$(command -v "$asan_vm")" >"$asan_bin/$asan_vm.$$" &&
    chmod 755 "$asan_bin/$asan_vm.$$" && mv "$asan_bin/$asan_vm.$$" "$asan_bin/$asan_vm" || exit 2
done
export PATH="$asan_bin:$PATH"
run_under=(env "LD_PRELOAD=$asan_load")
export ASAN_OPTIONS=detect_leaks=1:exitcode=99 UBSAN_OPTIONS=print_stacktrace=1 LSAN_OPTIONS=report_objects=0
