-- SPDX-License-Identifier: MIT
rockspec_format = "3.0"
package = "healthauth-sqlite"
version = "scm-1"
source = { url = "git+https://example.invalid/healthauth.git" }
description = {
  summary = "The SQLite token store of healthauth",
  license = "MIT",
}
supported_platforms = { "unix" }
dependencies = { "lua >= 5.1, < 5.5", "healthauth" }
external_dependencies = {
  SQLITE = { library = "sqlite3" },
}
-- The Makefile builds: its list of sources, its hardening, one visible symbol a module.
build = {
  type = "make",
  build_target = "rock",
  build_variables = {
    MODULES = "sqlite",
    LUA_INCDIR = "$(LUA_INCDIR)",
    CC = "$(CC)",
    CFLAGS = "$(CFLAGS)",
    CPPFLAGS = "-I$(SQLITE_INCDIR)",
    LDFLAGS = "-L$(SQLITE_LIBDIR)",
  },
  install_target = "rock-install",
  install_variables = { MODULES = "sqlite", LUA_INCDIR = "$(LUA_INCDIR)", LIBDIR = "$(LIBDIR)", LUADIR = "$(LUADIR)" },
}
