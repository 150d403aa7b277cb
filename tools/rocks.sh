#!/usr/bin/env bash
# Checks the rockspecs, builds each into a fresh tree for Lua 5.4 and for 5.1 (which LuaJIT loads too), and requires every module from there.
# No network: lua-cjson is said to be provided by the runtime. The build runs in a copy, since luarocks leaves objects beside the sources.
set -u
cd "$(dirname "$0")/.." || exit 2
. tools/common.sh
work=$PWD/build/rocks; rm -rf "$work"; mkdir -p "$work/none"
echo 'rocks_provided = { ["lua-cjson"] = "2.1.0-1" }' >"$work/config.lua"
export LUAROCKS_CONFIG=$work/config.lua HOME=$work
step() { # WHAT COMMAND...
  local what=$1; shift
  if "$@" >"$work/step.log" 2>&1; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "== $what"; cat "$work/step.log"; fi
}
build_into() { # VERSION ROCKSPEC
  cd "$work/$1/source" && luarocks --lua-version="$1" --tree="$work/$1/tree" --only-server="$work/none" make "$2" CFLAGS="-O2 -fPIC -fvisibility=hidden"
}
# Each module of a rockspec is required on its own, the tree first on the paths and the checkout on none.
require_all() { # RUNTIME VERSION ROCKSPEC
  local tree=$work/$2/tree
  cd "$work" && LUA_PATH="$tree/share/lua/$2/?.lua;$tree/share/lua/$2/?/init.lua;;" LUA_CPATH="$tree/lib/lua/$2/?.so;;" "$1" - "$3" <<'LUA'
local rock, lib = {}, {}
local file = assert(io.open(arg[1])); local text = file:read "*a"; file:close()
local chunk = loadstring and loadstring(text) or load(text, "rockspec", "t", rock)
if setfenv then setfenv(chunk, rock) end
chunk()
for name, source in pairs(rock.build.modules) do lib[#lib + 1] = { name, source } end
assert(#lib > 0, "the rockspec lists no module")
for _, entry in ipairs(lib) do
  local name, source = entry[1], entry[2]
  -- What only nginx can run asks for ngx when it is loaded; there the file must be found and compile.
  local path = package.searchpath and (package.searchpath(name, package.path) or package.searchpath(name, package.cpath))
  assert(not package.searchpath or path and path:find("/build/rocks/", 1, true), name .. " comes from " .. tostring(path))
  local in_nginx = type(source) == "string" and (source:find "/nginx/" or source:find "cosocket" or source:find "shared_dict" or source:find "sandbox/nginx")
  if in_nginx then assert(loadfile(path)) else assert(require(name), name) end
end
print(#lib .. " modules required")
LUA
}

# The first is what the others depend on.
specs=(); for rock in healthauth healthauth-redis healthauth-sqlite; do specs+=("$PWD/rockspec/$rock-scm-1.rockspec"); done
for spec in "${specs[@]}"; do step "lint $spec" luarocks lint "$spec"; done
for version in 5.4 5.1; do
  mkdir -p "$work/$version/source"
  cp -r src lua rockspec LICENSE bin "$work/$version/source"
  for spec in "${specs[@]}"; do step "make $(basename "$spec") for $version" build_into "$version" "rockspec/$(basename "$spec")"; done
done
for spec in "${specs[@]}"; do
  step "require $(basename "$spec") in lua5.4" require_all lua5.4 5.4 "$spec"
  step "require $(basename "$spec") in luajit" require_all luajit 5.1 "$spec"
  step "require $(basename "$spec") in lua5.1" require_all lua5.1 5.1 "$spec"
done
total
