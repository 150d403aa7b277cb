/* SPDX-License-Identifier: MIT */
/* fuzz_callback - libFuzzer target: what comes back from the browser, with good and broken pendings, through session:begin.
 * What must hold is in test/fuzz/callback.lua. */
#include "bind/compat.h" /* with Lua in it: linked with all of healthauth.core */
#include "through_lua.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static lua_State *L;
  if (!L) L = through_open("test/fuzz/callback.lua");
  return through_run(L, data, size);
}
