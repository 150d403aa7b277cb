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
build = {
  type = "builtin",
  modules = {
    ["healthauth.sqlite"] = {
      sources = {
        "src/base/alloc.c",
        "src/base/arena.c",
        "src/base/buf.c",
        "src/base/challenge.c",
        "src/base/codec.c",
        "src/base/http1.c",
        "src/base/http1_head.c",
        "src/base/http_date.c",
        "src/base/json.c",
        "src/base/query.c",
        "src/base/redact.c",
        "src/base/secret.c",
        "src/base/text.c",
        "src/base/url.c",
        "src/base/utf8.c",
        "src/bind/class.c",
        "src/bind/compat.c",
        "src/bind/sqlite_module.c",
        "src/sys/sqlite.c",
        "src/sys/sqlite_file.c",
      },
      incdirs = { "src", "$(SQLITE_INCDIR)" },
      libdirs = { "$(SQLITE_LIBDIR)" },
      libraries = { "sqlite3" },
    },
    ["healthauth.stores.sqlite"] = "lua/healthauth/stores/sqlite.lua",
  },
}
