-- SPDX-License-Identifier: MIT
-- Lua 5.1's common part everywhere, so that every file runs on 5.1, 5.3, 5.4 and LuaJIT; nginx's globals only where nginx runs the file.
std = "min"
max_line_length = 140
max_cyclomatic_complexity = false
self = false -- a method of an interface need not use its self
include_files = { "**/*.lua", "**/*.rockspec", ".luacheckrc", "bin/healthauth" }
exclude_files = { "build/**", "build-*/**" }

local nginx = { std = "ngx_lua" }
for _, path in ipairs {
  "lua/healthauth/nginx", "lua/healthauth/transports/cosocket.lua", "lua/healthauth/transports/cosocket",
  "lua/healthauth/stores/shared_dict.lua", "lua/healthauth/sandbox/nginx.lua", "spec/nginx", "examples/nginx",
} do
  files[path] = nginx
end

-- These only look whether they run inside nginx.
for _, path in ipairs { "lua/healthauth/transports/curl.lua", "lua/healthauth/stores/redis.lua" } do
  files[path] = { read_globals = { "ngx" } }
end
files["spec"] = { std = "min+busted", globals = { "jit" } }
files["spec/nginx"] = { std = "ngx_lua+busted" }
files["**/*.rockspec"] = { std = "rockspec" }
files["**/meta/*.lua"] = { ignore = { "212" } } -- declarations for editors: the parameters are the point
