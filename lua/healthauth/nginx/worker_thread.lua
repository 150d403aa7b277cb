-- SPDX-License-Identifier: MIT
--- A transport that runs libcurl in a thread of nginx's pool: for those who need what only libcurl has (its own files of authorities,
-- locked keys, https proxies). Needs `thread_pool NAME threads=N;` at the main level of nginx.conf. Works in rewrite, access and content.

local run_worker_thread = ngx.run_worker_thread -- luacheck: ignore 143
local SPARE = 60 -- seconds: the threads of the pool may be busy with others first
local PHASES = { rewrite = true, access = true, content = true }

local Transport = { __name = "healthauth.nginx.worker_thread" }
Transport.__index = Transport

local function fail(kind, code, message, outcome)
  return nil, { kind = kind, code = code, message = message, outcome = outcome }
end

-- Keeps a timer running; a thread takes no C function such as ngx.sleep itself.
local function stay(seconds)
  ngx.sleep(seconds)
end

--- Sends one request and waits for its answer; the worker goes on with others meanwhile.
---@param request table
---@return table|nil response
---@return table|nil failure
function Transport:perform(request)
  local phase = ngx.get_phase()
  if not PHASES[phase] then
    return fail("argument", "phase_unsupported", "ngx.run_worker_thread does not work in the phase " .. phase, "not_sent")
  end
  -- At a reload the old worker ends as soon as no timer runs in it, whether a thread is at work or not: one runs until the answer is here.
  local timer = ngx.thread.spawn(stay, (request.timeout or 0) + SPARE)
  local ran, response, failure = run_worker_thread(self.pool, "healthauth.nginx.worker_entry", "perform", request)
  ngx.thread.kill(timer)
  if not ran then
    local text = tostring(response)
    if text:find("no thread pool", 1, true) or text:find("not found", 1, true) then
      return fail("argument", "thread_pool_missing", "write 'thread_pool " .. self.pool .. " threads=4;' at the main level of nginx.conf",
        "not_sent")
    end
    return fail("network", "transport_raised", "the thread raised an error", "unknown")
  end
  return response, failure
end

--- Waits without stopping the worker.
---@param seconds number
function Transport:wait(seconds) -- luacheck: ignore 212
  if PHASES[ngx.get_phase()] or ngx.get_phase() == "timer" then ngx.sleep(seconds) end
end

--- Nothing to close: the pool is nginx's.
---@return true
function Transport:close() -- luacheck: ignore 212
  return true
end

function Transport:__tostring()
  return Transport.__name .. " (" .. self.pool .. ")"
end

--- Makes the transport.
---@param options { pool: string }  the name of a thread_pool in nginx.conf
---@return healthauth.Transport
return function(options)
  local named = type(options) == "table" and type(options.pool) == "string"
  if not named then error("healthauth.nginx.worker_thread: expected { pool = NAME }", 2) end
  for name in next, options do
    if name ~= "pool" then error("healthauth.nginx.worker_thread: unknown option '" .. tostring(name) .. "'", 2) end
  end
  if not run_worker_thread then error("healthauth.nginx.worker_thread: this nginx cannot run worker threads", 2) end
  return setmetatable({ pool = options.pool }, Transport)
end
