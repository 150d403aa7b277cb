-- SPDX-License-Identifier: MIT
rockspec_format = "3.0"
package = "healthauth-redis"
version = "scm-1"
source = { url = "git+https://example.invalid/healthauth.git" }
description = {
  summary = "The Redis token store of healthauth for plain Lua",
  license = "MIT",
}
supported_platforms = { "unix" }
dependencies = { "lua >= 5.1, < 5.5", "healthauth" }
external_dependencies = {
  HIREDIS = { library = "hiredis" },
}
-- The Makefile builds: its list of sources, its hardening, one visible symbol a module.
build = {
  type = "make",
  build_target = "rock",
  build_variables = {
    MODULES = "hiredis",
    LUA_INCDIR = "$(LUA_INCDIR)",
    CC = "$(CC)",
    CFLAGS = "$(CFLAGS)",
    CPPFLAGS = "-I$(HIREDIS_INCDIR)",
    LDFLAGS = "-L$(HIREDIS_LIBDIR)",
  },
  install_target = "rock-install",
  install_variables = { MODULES = "hiredis", LUA_INCDIR = "$(LUA_INCDIR)", LIBDIR = "$(LIBDIR)", LUADIR = "$(LUADIR)" },
}
