-- SPDX-License-Identifier: MIT
rockspec_format = "3.0"
package = "healthauth"
version = "scm-1"
source = { url = "git+https://example.invalid/healthauth.git" }
description = {
  summary = "OAuth 2.0 and token sessions with health services: a C core, Lua on top",
  license = "MIT",
}
supported_platforms = { "unix" }
dependencies = { "lua >= 5.1, < 5.5", "lua-cjson >= 2.1.0" }
external_dependencies = {
  CRYPTO = { library = "crypto" },
  CURL = { library = "curl" },
}
-- The Makefile builds: its list of sources, its hardening, one visible symbol a module.
build = {
  type = "make",
  build_target = "rock",
  build_variables = {
    MODULES = "core curl",
    LUA_INCDIR = "$(LUA_INCDIR)",
    CC = "$(CC)",
    CFLAGS = "$(CFLAGS)",
    CPPFLAGS = "-I$(CRYPTO_INCDIR) -I$(CURL_INCDIR)",
    LDFLAGS = "-L$(CRYPTO_LIBDIR) -L$(CURL_LIBDIR)",
  },
  install_target = "rock-install",
  install_variables = { MODULES = "core curl", LUA_INCDIR = "$(LUA_INCDIR)", LIBDIR = "$(LIBDIR)", LUADIR = "$(LUADIR)" },
}
test = { type = "command", command = "tools/spec.sh lua5.4" }
