# Sourced: puts wrappers of the runtimes first on PATH that preload the sanitizer. The small library beside it takes LD_PRELOAD out of the
# environment again as soon as the process runs, so that openssl, nginx or a shell started by a spec are not sanitized (their leaks are not ours).
tools_asan=$PWD/build/asan/bin
mkdir -p "$tools_asan"
printf '%s\n' '#include <stdlib.h>' '__attribute__((constructor)) static void forget(void) { unsetenv("LD_PRELOAD"); }' |
  gcc -shared -fPIC -O2 -x c -o "$tools_asan/forget.$$" - && mv "$tools_asan/forget.$$" "$tools_asan/forget.so" || exit 2
for tools_vm in lua5.4 luajit; do
  printf '#!/bin/sh\nLD_PRELOAD="%s %s" exec %s "$@"\n' "$(gcc -print-file-name=libasan.so)" "$tools_asan/forget.so" "$(command -v "$tools_vm")" \
    >"$tools_asan/$tools_vm.$$" && chmod 755 "$tools_asan/$tools_vm.$$" && mv "$tools_asan/$tools_vm.$$" "$tools_asan/$tools_vm" || exit 2
done
export PATH="$tools_asan:$PATH"
export ASAN_OPTIONS=detect_leaks=1:abort_on_error=0:exitcode=99 UBSAN_OPTIONS=print_stacktrace=1 LSAN_OPTIONS=report_objects=0
