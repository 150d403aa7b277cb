# Sourced: what the linker must have made of a module, whoever built it.

# module_findings MODULE.so: a line for each thing that is wrong with it.
module_findings() {
  local module=$1 name own; name=$(basename "$module" .so)
  case $name in core) own=libcrypto ;; curl) own=libcurl ;; sqlite) own=libsqlite3 ;; hiredis) own=libhiredis ;; *) own=nothing ;; esac
  nm -D --defined-only "$module" | awk '{ print $3 }' | grep -vx "luaopen_healthauth_$name" | sed 's/^/shows /'
  nm -D --defined-only "$module" | grep -q " luaopen_healthauth_$name\$" || echo "does not show luaopen_healthauth_$name"
  readelf -d "$module" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | grep -vE "^($own|libc|libm)[.-]" | sed 's/^/needs /'
  ldd -r "$module" 2>&1 | sed -n 's/^undefined symbol: \([^[:space:]]*\).*/\1/p' | grep -vE '^luaL?_' | sed 's/^/leaves undefined /'
  readelf -d "$module" | grep -q BIND_NOW || echo 'no -z now'
  readelf -lW "$module" | grep -q GNU_RELRO || echo 'no relro'
  readelf -d "$module" | grep -q TEXTREL && echo 'text relocations'
  readelf -lW "$module" | grep GNU_STACK | grep -q RWE && echo 'an executable stack'
  nm -D -u "$module" | grep -q __stack_chk_fail || echo 'no stack protector'
  # Where every length is known when it is compiled, as in hiredis, no checked function is left to be seen.
  [ "$name" = hiredis ] || nm -D -u "$module" | grep __stack_chk_fail -v | grep -q '_chk' || echo 'no fortified function'
}

# compile_findings MAKE-ARGUMENTS...: the objects that make would compile without one of our flags, or nothing compiled at all.
compile_findings() {
  local lines flag
  lines=$(env -u MAKEFLAGS -u MAKELEVEL make -n -B --no-print-directory "$@" 2>&1 | grep -E ' -c -o ')
  [ -n "$lines" ] || echo 'nothing is compiled'
  for flag in -fstack-protector-strong -D_FORTIFY_SOURCE=2 -fvisibility=hidden -fPIC; do
    grep -vF -- " $flag " <<<"$lines" | sed -n "s|.* -c -o \\([^ ]*\\).*|\\1: no $flag|p"
  done
}
