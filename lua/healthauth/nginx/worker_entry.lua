-- SPDX-License-Identifier: MIT
--- The far end of healthauth.nginx.worker_thread: in a thread of nginx's pool, with a Lua state of its own, where waiting harms nobody.

local transport

return {
  --- One request through libcurl.
  ---@param request table
  ---@return table|nil response
  ---@return table|nil failure
  perform = function(request)
    transport = transport or require("healthauth.transports.curl").new()
    return transport:perform(request)
  end,
}
