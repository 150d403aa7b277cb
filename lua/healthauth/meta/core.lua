---@meta healthauth.core
-- SPDX-License-Identifier: MIT
-- For editors (LuaLS): the shapes that healthauth's functions take and give, and what the C core offers to the Lua layer.
-- Never loaded at run time.
-- luacheck: ignore 241
-- healthauth.Store and healthauth.Lease stand in stores/common.lua, the verbs of healthauth.Session in verbs.lua.

---@alias healthauth.Kind "argument"|"network"|"timeout"|"tls"|"protocol"|"too_large"|"denied"|"http"|"state"|"store"|"unsupported"
---@alias healthauth.Action "retry"|"wait"|"reauthorize"|"fix_request"|"fix_credentials"|"step_up"|"give_up"
---@alias healthauth.Outcome "not_sent"|"answered"|"unknown"
---@alias healthauth.Dialect "oauth"|"problem"|"ehealth"|"operation_outcome"|"fault"
---@alias healthauth.Operation "exchange"|"refresh"|"verify"|"check"|"logout"|"call"
---@alias healthauth.Credential string|fun(): string  a function is asked before each request

--- One refusal (docs/errors.md). tostring gives one line for people; no field ever holds a secret.
---@class healthauth.Error
---@field kind healthauth.Kind
---@field code string                stable word
---@field action healthauth.Action   what the caller should do
---@field outcome? healthauth.Outcome  did the request take effect?
---@field dialect? healthauth.Dialect
---@field status? integer            HTTP status
---@field retry_after? integer       seconds
---@field rate_limit? { limit: integer?, remaining: integer?, reset: integer? }
---@field request_id? string         what to quote to the provider's support
---@field message? string
---@field title? string
---@field detail? string
---@field error_uri? string          of a denied login
---@field invalid? { name: string?, reason: string?, rule: string? }[]
---@field challenge? string          error word of a Bearer challenge
---@field document? table            the decoded error document, secrets masked
---@field provider? string
---@field operation? string
---@field token_refused? boolean     of a call at the level of the core

--- A set of tokens: what exchange, refresh and tokens give and restore takes.
---@class healthauth.Tokens
---@field access_token? string
---@field token_type? string
---@field expires_at? integer     unix seconds on our clock; nil: unknown
---@field refresh_token? string
---@field scope? string
---@field name? string
---@field extra? table            every other member of the answer

--- What a browser's login needs afterwards: plain and serialisable, good for 600 seconds and one use.
---@class healthauth.Pending
---@field version integer
---@field provider string
---@field state string
---@field redirect_uri? string
---@field scope? string
---@field code_verifier? string
---@field created_at integer
---@field expires_at integer

---@class healthauth.Tls
---@field ca_file? string        replaces the system's trust
---@field ca_path? string
---@field cert_file? string
---@field key_file? string
---@field key_password? string
---@field min_version? "1.2"|"1.3"

---@class healthauth.Limits
---@field body? integer      bytes, default 1 MiB
---@field headers? integer   bytes, default 64 KiB
---@field depth? integer     of JSON, default 32

--- Options of a session. Exactly one of environment and base_url; a store requires a key.
---@class healthauth.Options
---@field environment? string
---@field base_url? string
---@field endpoints? table<string, string>  operation, or "authorize", to a path or a whole URL
---@field api_key? healthauth.Credential
---@field client_id? healthauth.Credential
---@field client_secret? healthauth.Credential
---@field psk? healthauth.Credential
---@field redirect_uri? healthauth.Credential
---@field scope? healthauth.Credential
---@field tokens? healthauth.Tokens
---@field transport? healthauth.Transport
---@field store? healthauth.Store
---@field key? string              1 to 256 bytes: whose tokens these are
---@field timeout? number          seconds for the whole of a request, default 15
---@field connect_timeout? number  default 5
---@field limits? healthauth.Limits
---@field tls? healthauth.Tls
---@field proxy? string            http[s]://[user:password@]host:port
---@field user_agent? string
---@field headers? table<string, string>  further ones, none that healthauth sets itself
---@field origins? string[]        further origins that call may send the token to
---@field issuer? string
---@field pkce? boolean
---@field clock? fun(): number     unix seconds
---@field margin? number           seconds before the end at which a token is renewed
---@field lease? number            seconds, default timeout + 5
---@field max_wait? number         seconds, default lease
---@field on_event? fun(event: healthauth.Event)

---@class healthauth.SessionsOptions
---@field provider string|healthauth.Provider
---@field store healthauth.Store
---@field options? healthauth.Options  of every session; without store, key and tokens

--- What happened to tokens. Never holds a secret.
---@class healthauth.Event
---@field name "issued"|"refreshed"|"joined"|"served_stale"|"refused"|"verified"|"called"|"logged_out"|"store_trouble"
---@field time number
---@field provider string
---@field operation string
---@field key? string      a fingerprint of the store's key
---@field latency? number  seconds that the provider took; of "joined", seconds that were waited
---@field outcome? string
---@field code? string

--- What a transport is asked for.
---@class healthauth.Request
---@field method string
---@field url string
---@field headers string[][]  list of { name, value }
---@field body? string
---@field timeout number
---@field connect_timeout number
---@field limits { body: number, headers: number, depth: number }
---@field tls? healthauth.Tls
---@field proxy? string

--- What a transport gives back.
---@class healthauth.Response
---@field status integer
---@field headers string[][]
---@field body string
---@field close_delimited? boolean  only the connection's end framed the body

--- What a transport says when it has no whole answer.
---@class healthauth.Failure
---@field kind healthauth.Kind  mostly network, timeout, tls, protocol or too_large; argument or unsupported where it cannot send here
---@field code string           docs/errors.md
---@field message? string
---@field outcome healthauth.Outcome

---@class healthauth.Transport
---@field perform fun(self, request: healthauth.Request): healthauth.Response|nil, healthauth.Failure|nil
---@field wait? fun(self, seconds: number)
---@field close? fun(self)

--- A condition on an answer and what it means (docs/providers.md).
---@class healthauth.Rule
---@field operation? healthauth.Operation|"any"
---@field status? integer
---@field dialect? healthauth.Dialect
---@field when? string
---@field message? string
---@field invalid? string
---@field challenge? string
---@field code? string
---@field action? healthauth.Action

---@class healthauth.OperationDeclaration
---@field method? "GET"|"POST"|"PUT"|"DELETE"
---@field path string
---@field body? "none"|"form"|"json"
---@field wrap? string
---@field fields? table<string, string|number|boolean>
---@field headers? table<string, string|number|boolean>
---@field auth? "none"|"basic"|"bearer"
---@field success? integer[]
---@field tokens? "oauth"|table<string, string>
---@field resend? "never"|"safe"
---@field grant? "authorization_code"|"code"|"client_credentials"
---@field rotation? "replace"|"keep"
---@field life? number
---@field gone? integer[]
---@field active? string
---@field spent? string[]
---@field repeat_scope? string[]

--- A provider as data (docs/providers.md).
---@class healthauth.Declaration
---@field name string
---@field environments? table<string, string>
---@field options? table<string, { required: boolean?, secret: boolean? }>
---@field headers? table<string, string|number|boolean>
---@field authorize? { path: string, query: table<string, string|number|boolean>, pkce: boolean? }
---@field operations table<string, healthauth.OperationDeclaration>
---@field call? { origins: string[]?, expired: healthauth.Rule[]? }
---@field errors? healthauth.Rule[]
---@field issuer? string
---@field issuer_required? boolean
---@field scope? "exact"|"ignore_case"

--- A compiled declaration, shared by its sessions.
---@class healthauth.Provider: userdata
local Provider = {}

--- The declared name.
---@return string
function Provider:name() end

--- Names of environments and their URLs.
---@return table<string, string>
function Provider:environments() end

--- A provider session. Its credentials and tokens are in wiped C memory.
---@class healthauth.Session: userdata
local Session = {}

--- A copy of the set of tokens, or nil.
---@return healthauth.Tokens|nil
function Session:tokens() end

--- Wipes credentials and tokens; the store keeps its record. May be repeated; every other use of a closed session raises.
---@return true
function Session:close() end

--- Begins one operation without any I/O. Raises for unknown argument names and on a closed session.
---@param operation healthauth.Operation
---@param args? table  the verb's arguments, and now (unix seconds)
---@return healthauth.Exchange|nil
---@return healthauth.Error?
function Session:begin(operation, args) end

--- One request and its answer. Used once; a collected one counts as failed with outcome unknown.
---@class healthauth.Exchange: userdata
local Exchange = {}

--- The plain table to send.
---@return healthauth.Request
function Exchange:request() end

--- Judges an answer and changes the session, all or nothing.
---@param response healthauth.Response
---@return any result  healthauth.Tokens, a boolean, or for call the response
---@return healthauth.Error?
function Exchange:finish(response) end

--- Ends it without an answer.
---@param failure healthauth.Failure
---@return nil
---@return healthauth.Error
function Exchange:fail(failure) end

--- Reads one HTTP/1 response as its bytes come, for transports written in Lua. A closed one raises.
---@class healthauth.Http1Reader: userdata
local Http1Reader = {}

--- Takes bytes that came. In trouble nil and code, kind, message of a failure.
---@param bytes string
---@return "more"|"done"|nil
---@return string? code
---@return string? kind
---@return string? message
function Http1Reader:feed(bytes) end

--- The connection has ended; answers as feed does.
---@return "more"|"done"|nil
---@return string? code
---@return string? kind
---@return string? message
function Http1Reader:eof() end

--- Whether any byte came.
---@return boolean
function Http1Reader:started() end

--- Whether a whole first line came: what ends behind it is a response that was cut.
---@return boolean
function Http1Reader:headed() end

--- Whether bytes came behind the response's end.
---@return boolean
function Http1Reader:extra() end

--- Whether the connection may carry another request.
---@return boolean
function Http1Reader:reusable() end

--- The response. Raises before it is complete.
---@return healthauth.Response
function Http1Reader:response() end

--- Wipes what was read. May be repeated.
function Http1Reader:close() end

--- Not part of the contract: programs use `healthauth`, transports and stores may use the tools.
---@class healthauth.core
---@field version string
---@field session_methods table  the method table of sessions
---@field inside table           what the lifecycle does to a session
local core = {}

--- An error object. Raises for an unknown kind.
---@param fields table  kind and code required
---@return healthauth.Error
function core.error(fields) end

--- Whether a value is one of our errors.
---@param value any
---@return boolean
function core.is_error(value) end

--- Compiles a declaration; raises with the path of the wrong member.
---@param declaration healthauth.Declaration
---@return healthauth.Provider
function core.provider(declaration) end

--- A session; raises for what is wrong with the options.
---@param provider healthauth.Provider
---@param options healthauth.Options
---@return healthauth.Session|nil
---@return healthauth.Error?
function core.session(provider, options) end

--- Where a person logs in (RFC 6749 4.1.1).
---@param session healthauth.Session
---@param args table
---@return string|nil url
---@return healthauth.Pending|healthauth.Error
function core.authorize_url(session, args) end

--- JSON to a value: RFC 8259 to the last byte, no repeated member. JSON null is cjson.null.
---@param text string
---@param limits? { depth: integer? }
---@return any value  nil when refused
---@return string? code
function core.json_decode(text, limits) end

--- A value to JSON, its keys in order; raises for what JSON cannot hold.
---@param value any
---@return string
function core.json_encode(value) end

--- The SHA-256 of a text: 32 raw bytes.
---@param text string
---@return string
function core.sha256(text) end

--- The SHA-256 of a prefix (at most 1024 bytes) and a token: 32 raw bytes; nil where the token is not 1 to 4096 bytes 0x21 to 0x7E.
---@param prefix string
---@param token string
---@return string?
function core.token_key(prefix, token) end

--- The HMAC-SHA-256 of a text: 32 raw bytes.
---@param key string
---@param text string
---@return string
function core.hmac_sha256(key, text) end

--- Random bytes from the system's generator.
---@param count integer  1 to 1024
---@return string|nil  nil when the system gives none
function core.random(count) end

--- Lower-case hexadecimal digits.
---@param text string
---@return string
function core.hex(text) end

--- Base64 with padding (RFC 4648 4).
---@param text string
---@return string
function core.base64(text) end

--- Base64 for URLs, without padding (RFC 4648 5).
---@param text string
---@return string
function core.base64url(text) end

--- The bytes of base64url.
---@param text string
---@return string|nil
function core.base64url_decode(text) end

--- Percent-encodes all but the unreserved bytes (RFC 3986).
---@param text string
---@return string
function core.percent_encode(text) end

--- Undoes percent-encoding.
---@param text string
---@param plus_is_space? boolean
---@return string|nil
function core.percent_decode(text, plus_is_space) end

--- A form; a list of { name, value } keeps its order.
---@param fields table
---@return string
function core.form_encode(fields) end

--- A form's fields; nil when it cannot be read or a name comes twice.
---@param text string
---@return table<string, string>|nil
function core.form_decode(text) end

--- AES-256-GCM: nonce, ciphertext and tag in one.
---@param key string         32 bytes
---@param plain string
---@param associated? string
---@return string|nil  nil when the system gives no random bytes
function core.seal(key, plain, associated) end

--- Undoes seal; nil when key, text or associated data is another.
---@param key string
---@param sealed string
---@param associated? string
---@return string|nil
function core.unseal(key, sealed, associated) end

--- Whether two texts are alike, in a time that depends on their lengths only.
---@param a string
---@param b string
---@return boolean
function core.equal(a, b) end

--- A text in which no secret of the list is left, raw, percent-encoded, in base64, in hexadecimal or escaped: [secret] instead.
---@param text string
---@param secrets string[]
---@return string
function core.redact(text, secrets) end

--- UTF-8 without control and bidi characters, at most 512 bytes.
---@param text string
---@return string
function core.clean(text) end

---@class healthauth.Url
---@field text string      canonical
---@field scheme "http"|"https"
---@field host string
---@field port integer
---@field origin string
---@field path string
---@field query? string
---@field loopback boolean

--- Reads a URL by the narrow grammar of src/base/url.h.
---@param text string
---@return healthauth.Url|nil
---@return string? why
function core.url(text) end

--- The content of a file that only this user (or root) can read.
---@param path string
---@param max integer
---@return string|nil
---@return string? why
function core.read_private(path, max) end

--- A reader of one HTTP/1 response (RFC 9112), fed with the bytes as they come.
---@param options { method: string, body_limit: integer?, header_limit: integer? }  limits in bytes
---@return healthauth.Http1Reader
function core.http1_reader(options) end

--- Unix seconds with a fraction.
---@return number
function core.time() end

--- Seconds of a clock that only goes forward.
---@return number
function core.monotonic() end

--- Lets the whole process sleep.
---@param seconds number
function core.sleep(seconds) end

return core
