/* SPDX-License-Identifier: MIT */
/* fuzz_declaration - libFuzzer target: declarations of providers with members changed; what compiles is used.
 * What must hold is in test/fuzz/declaration.lua. */
#include "bind/compat.h" /* with Lua in it: linked with all of healthauth.core */
#include "through_lua.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static lua_State *L;
  if (!L) L = through_open("test/fuzz/declaration.lua");
  return through_run(L, data, size);
}
