---@meta healthauth.parts
-- SPDX-License-Identifier: MIT
-- For editors (LuaLS): what `healthauth` loads when it is first named. Never loaded at run time.
-- luacheck: ignore 241

--- Constructors of transports. Each raises, at the caller's line, for a wrong or unknown option.
---@class healthauth.Transports
---@field curl fun(options?: {}): healthauth.Transport  libcurl; the default outside nginx
---@field cosocket fun(options?: { idle?: number, pool_size?: integer }): healthauth.Transport  seconds; nginx only, else raises
---@field record fun(options: { transport: healthauth.Transport, file: string, secrets?: string[] }): healthauth.Transport
---@field replay fun(options: healthauth.ReplayOptions): healthauth.ReplayTransport
---@field sandbox fun(options?: healthauth.SandboxOptions): healthauth.SandboxTransport  docs/sandbox.md

--- Exactly one of file and exchanges.
---@class healthauth.ReplayOptions
---@field file? string        a cassette
---@field exchanges? table[]  its list
---@field order? "strict"|"any"
---@field matches? fun(request: healthauth.Request, recorded: table): boolean

---@class healthauth.ReplayTransport: healthauth.Transport
---@field remaining fun(self): integer  answers that nobody has asked for yet

--- Constructors of stores: a store, or nil, err where the place has not got what it needs. A wrong or unknown option raises.
---@class healthauth.Stores
---@field memory fun(options?: { clock?: fun(): number }): healthauth.Store|nil, healthauth.Error?
---@field sqlite fun(options: { path: string, busy_timeout?: number }): healthauth.Store|nil, healthauth.Error?  busy_timeout in seconds
---@field redis fun(options?: healthauth.RedisOptions): healthauth.Store|nil, healthauth.Error?
---@field shared_dict fun(options: { name: string }): healthauth.Store|nil, healthauth.Error?  inside nginx only
---@field sealed fun(options: healthauth.SealedOptions): healthauth.Store  around another store

--- Either host and port, or socket.
---@class healthauth.RedisOptions
---@field host? string      default 127.0.0.1
---@field port? integer     default 6379
---@field socket? string    path of a unix socket
---@field username? string
---@field password? healthauth.Credential
---@field database? integer default 0
---@field prefix? string    of every key, default "healthauth:"
---@field tls? boolean
---@field timeout? number   seconds a command, default 5

--- Exactly one of key_file, key_files and key.
---@class healthauth.SealedOptions
---@field store healthauth.Store
---@field key_file? string                 32 bytes that only this user can read
---@field key_files? table<string, string>  id to path
---@field key? fun(id: string): string|nil  32 bytes
---@field id? string                       of the key that seals, default "1"; required with key_files

---@class healthauth.SandboxOptions
---@field seed? string
---@field clock? fun(): number  unix seconds
---@field provider? "conneqt"|"ehealth"|"pkb"|"pkb_system"
---@field person? string
---@field credentials? table<string, table>
---@field conneqt? table
---@field ehealth? table
---@field pkb? table
---@field pkb_system? table
---@field sandbox? table  one that exists, made by healthauth.sandbox.new; alone

--- The emulated providers as a transport, and whom they belong to.
---@class healthauth.SandboxTransport: healthauth.Transport
---@field credentials table<string, table>  what the constructors of its providers take
---@field access_code fun(self): string
---@field tethered_token fun(self): string
---@field consent fun(self, url: string, decision?: "allow"|"deny", person?: string): string|nil, string?  the callback, or nil, why
---@field revoke fun(self, token: string): boolean
---@field expire fun(self, token: string): boolean
---@field advance fun(self, seconds: number)
---@field fault fun(self, fault: table)
---@field count fun(self, operation: string): integer
---@field replays fun(self): integer
---@field now fun(self): integer  unix seconds by its clock
