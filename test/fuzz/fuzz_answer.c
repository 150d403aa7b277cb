/* SPDX-License-Identifier: MIT */
/* fuzz_answer - libFuzzer target: status, headers and body of an answer through exchange:finish, for every operation of every provider.
 * What must hold is in test/fuzz/answer.lua. */
#include "bind/compat.h" /* with Lua in it: linked with all of healthauth.core */
#include "through_lua.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static lua_State *L;
  if (!L) L = through_open("test/fuzz/answer.lua");
  return through_run(L, data, size);
}
