#!/usr/bin/env bash
# Checks the rockspecs, builds each into a fresh tree for Lua 5.4 and for 5.1 (which LuaJIT loads too), with luarocks' own flags, looks at the
# modules as tools/rings.sh does, and requires every one from there.
# No network: lua-cjson is said to be provided by the runtime. The build runs in a copy, since luarocks leaves objects beside the sources.
set -u
cd "$(dirname "$0")/.." || exit 2
. tools/common.sh
. tools/hardened.sh
work=$PWD/build/rocks; rm -rf "$work"; mkdir -p "$work/none"
echo 'rocks_provided = { ["lua-cjson"] = "2.1.0-1" }' >"$work/config.lua"
export LUAROCKS_CONFIG=$work/config.lua HOME=$work
step() { # WHAT COMMAND...
  local what=$1; shift
  if "$@" >"$work/step.log" 2>&1; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "== $what"; cat "$work/step.log"; fi
}
build_into() { # VERSION ROCKSPEC
  cd "$work/$1/source" && luarocks --lua-version="$1" --tree="$work/$1/tree" --only-server="$work/none" make "$2"
}
# Each module of a rock, as luarocks lists it, is required on its own, the tree first on the paths and the checkout on none.
require_all() { # RUNTIME VERSION ROCK
  local tree=$work/$2/tree
  cd "$work" && LUA_PATH="$tree/share/lua/$2/?.lua;$tree/share/lua/$2/?/init.lua;;" LUA_CPATH="$tree/lib/lua/$2/?.so;;" "$1" - \
    $(luarocks --lua-version="$2" --tree="$tree" show --modules "$3") <<'LUA'
assert(#arg > 0, "the rock has no module")
for _, name in ipairs(arg) do
  -- What only nginx can run asks for ngx when it is loaded; there the file must be found and compile.
  local path = package.searchpath and (package.searchpath(name, package.path) or package.searchpath(name, package.cpath))
  assert(not package.searchpath or path and path:find("/build/rocks/", 1, true), name .. " comes from " .. tostring(path))
  local in_nginx = name:find "%.nginx" or name:find "cosocket" or name:find "shared_dict"
  if in_nginx then assert(not path or loadfile(path)) else assert(require(name), name) end
end
print(#arg .. " modules required")
LUA
}
hardened() { # MODULE.so
  local findings; findings=$(module_findings "$1")
  [ -z "$findings" ] || { echo "$findings"; return 1; }
}

# The first is what the others depend on.
rocks=(healthauth healthauth-redis healthauth-sqlite)
for rock in "${rocks[@]}"; do step "lint $rock" luarocks lint "rockspec/$rock-scm-1.rockspec"; done
for version in 5.4 5.1; do
  mkdir -p "$work/$version/source"
  cp -r Makefile src lua tools rockspec LICENSE "$work/$version/source"
  for rock in "${rocks[@]}"; do step "make $rock for $version" build_into "$version" "rockspec/$rock-scm-1.rockspec"; done
  for module in core curl sqlite hiredis; do step "$module of $version is hardened" hardened "$work/$version/tree/lib/lua/$version/healthauth/$module.so"; done
done
for rock in "${rocks[@]}"; do
  step "require $rock in lua5.4" require_all lua5.4 5.4 "$rock"
  step "require $rock in luajit" require_all luajit 5.1 "$rock"
  step "require $rock in lua5.1" require_all lua5.1 5.1 "$rock"
done
total
