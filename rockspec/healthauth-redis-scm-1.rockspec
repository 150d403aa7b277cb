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
build = {
  type = "builtin",
  modules = {
    ["healthauth.hiredis"] = {
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
        "src/bind/hiredis_module.c",
        "src/sys/redis.c",
      },
      incdirs = { "src", "$(HIREDIS_INCDIR)" },
      libdirs = { "$(HIREDIS_LIBDIR)" },
      libraries = { "hiredis" },
    },
    ["healthauth.stores.redis_driver_hiredis"] = "lua/healthauth/stores/redis_driver_hiredis.lua",
  },
}
