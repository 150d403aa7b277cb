# SPDX-License-Identifier: MIT
"""What test/mutate.py breaks, and which specs must notice: FILES, BY_HAND, EQUIVALENT."""


def spec(*files):
    """These spec files, by one run of busted, in this order."""
    return ('spec', *(f'spec/{name}_spec.lua' for name in files))


def unit(name):
    """A C program under test/c, with the sanitizers."""
    return ('unit', name)


PROVIDERS = ('providers/conneqt', 'providers/ehealth', 'providers/pkb', 'providers/pkb_system')
BIND = spec('bind/answer', 'bind/verdict', 'bind/limits_of_trust', 'bind/callback', 'bind/exchange', 'bind/error', *PROVIDERS, 'bind/provider')
ANSWERS = (BIND, spec('cassettes'))
SESSION = (spec('bind/session', 'bind/exchange', 'bind/verdict', 'lifecycle/fresh', 'lifecycle/when', 'verbs', 'lifecycle/stored'),)
CURL = (unit('curl_test'), unit('curl_parts_test'), spec('transports/curl_connection', 'transports/curl_request'), spec('transports/curl_environment'),
        spec('transports/curl_process'), spec('transports/curl'))
LIFECYCLE = (spec('lifecycle/fresh', 'lifecycle/stored', 'lifecycle/trouble', 'lifecycle/call', 'lifecycle/when', 'lifecycle/whom',
                  'lifecycle/record', 'lifecycle/spent', 'lifecycle/interrupted', 'lifecycle/edges', 'lifecycle/told', 'lifecycle/together', 'verbs',
                  'bind/callback', 'pending', 'events', 'sessions', *PROVIDERS), spec('contract', 'bad_callers', 'lifecycle/lost', 'lifecycle/model', 'sandbox/sessions'))

# File: the functions that decide (all but `without`, where no list is given), and the tests, the quickest first.
FILES = {
    # What is a whole answer.
    'src/base/http1.c': {'without': ('ha_http1_init', 'ha_http1_name', 'ha_http1_value', 'hex_value'), 'tests': (unit('http1_test'),)},
    'src/base/http1_head.c': {'functions': ('content_length', 'count_line', 'field_line', 'head_end', 'has_line_end', 'ha_http1_head_line',
                                            'ha_http1_head_trailer', 'split', 'status_line'), 'tests': (unit('http1_test'),)},
    # Where a secret may go.
    'src/base/url.c': {'functions': ('cut_host', 'ha_url_parse', 'ha_url_same_origin', 'read_decimal', 'read_ipv4'), 'tests': (unit('url_test'),)},
    'src/base/secret.c': {'functions': ('ha_equal', 'ha_is_token', 'ha_is_field_value'), 'tests': (unit('base_test'),)},
    'src/bind/call.c': {'functions': ('compare', 'listed', 'call_url'), 'tests': (spec('bind/limits_of_trust', 'verbs', 'bind/exchange', 'bind/session', 'lifecycle/call'),)},
    # What comes back from the browser.
    'src/base/query.c': {'functions': ('decode', 'find_query', 'ha_query_parse', 'is_text', 'read_pairs', 'seen_before'),
                         'tests': (unit('query_test'),)},
    'src/bind/callback.c': {'functions': ('pending_text', 'pending_number', 'read_pending', 'issuer_fine', 'shown', 'denied', 'judge',
                                          'lha_callback_read'), 'tests': (spec('bind/callback', 'bind/limits_of_trust', 'verbs', *PROVIDERS),)},
    # What an answer means: yes, no, tokens, a refusal.
    'src/bind/answer.c': {'tests': ANSWERS},
    'src/bind/token_answer.c': {'without': ('lha_push_path', 'drop_path', 'keep_extra'), 'tests': (*ANSWERS, spec('lifecycle/when'))},
    'src/bind/problem.c': {'functions': ('code_action', 'invalid_meets', 'lha_rule_met', 'status_action', 'text_meets', 'challenge'),
                           'tests': ANSWERS},
    'src/bind/failure.c': {'tests': ANSWERS},
    # Whether something may be sent, or sent again.
    'src/bind/exchange.c': {'functions': ('let_go', 'outcome_unknown', 'exchange_gc', 'live', 'action_for', 'lha_exchange_begin',
                                          'exchange_fail'), 'tests': (BIND, SESSION[0])},
    'src/bind/session.c': {'functions': ('early', 'refresh_token_ages', 'session_ready', 'session_valid', 'session_adopt', 'session_forget',
                                         'session_set_unknown', 'adopt'), 'tests': SESSION},
    'src/sys/curl.c': {'functions': ('any_stale', 'usable', 'discard', 'ha_curl_perform'), 'tests': CURL},
    'src/sys/curl_setup.c': {'functions': ('reads', 'take', 'on_header', 'on_seek', 'on_begin', 'is_loopback', 'new_socket', 'on_open', 'set_url',
                                           'set_method', 'set_protocol', 'set_tls', 'set_route', 'milliseconds'), 'tests': CURL},
    'src/sys/curl_tls.c': {'functions': ('found_all', 'ha_curl_tls_rest', 'on_context', 'ha_curl_tls_setup'), 'tests': CURL},
    'src/sys/curl_verdict.c': {'functions': ('ha_curl_verdict', 'lost', 'alerted', 'unreachable'), 'tests': CURL},
    # When a token is renewed, by whom, and what is written down before.
    'lua/healthauth/lifecycle/fresh.lua': {'tests': LIFECYCLE},
    'lua/healthauth/lifecycle/renew.lua': {'tests': LIFECYCLE},
    'lua/healthauth/lifecycle/call.lua': {'tests': LIFECYCLE},
    'lua/healthauth/lifecycle/saving.lua': {'tests': LIFECYCLE},
    'lua/healthauth/lifecycle/vault.lua': {'tests': LIFECYCLE},
    'lua/healthauth/lifecycle/record.lua': {'functions': ('M.decode', 'journal_fine', 'age', 'M.refused', 'M.encode'), 'tests': LIFECYCLE},
    'lua/healthauth/pending.lua': {'tests': (spec('pending', 'bind/callback', 'verbs', 'lifecycle/trouble'),)},
    'lua/healthauth/perform.lua': {'tests': LIFECYCLE},
    'lua/healthauth/verbs.lua': {'functions': ('Session:exchange', 'Session:refresh', 'Session:verify', 'Session:logout', 'loaded', 'keep',
                                               'forget'), 'tests': LIFECYCLE},
    # Inside nginx.
    'lua/healthauth/nginx/guard.lua': {'functions': ('take', 'clear', 'verify', 'run', 'one'), 'tests': (spec('nginx/guard'),)},
    'lua/healthauth/nginx/cache.lua': {'tests': (spec('nginx/guard'),)},
    'lua/healthauth/transports/cosocket.lua': {'functions': (), 'tests': (spec('nginx/cosocket'), spec('nginx/cosocket_hostile'))},
    'lua/healthauth/transports/cosocket/connect.lua': {'functions': (), 'tests': (spec('nginx/cosocket'), spec('nginx/cosocket_hostile'))},
}

CONNECT, COSOCKET = 'lua/healthauth/transports/cosocket/connect.lua', 'lua/healthauth/transports/cosocket.lua'
# Changes that no operator makes: (file, what stands there once, what comes instead [, further pairs]).
BY_HAND = [
    ('src/sys/curl_setup.c', 'SET(CURLOPT_SSL_VERIFYHOST, 2L);', 'SET(CURLOPT_SSL_VERIFYHOST, 0L);'),
    ('src/sys/curl_setup.c', 'SET(CURLOPT_SSL_VERIFYPEER, 1L);', 'SET(CURLOPT_SSL_VERIFYPEER, 0L);'),
    ('src/sys/curl_setup.c', 'SET(CURLOPT_FOLLOWLOCATION, 0L);', 'SET(CURLOPT_FOLLOWLOCATION, 1L);'),
    ('src/sys/curl_setup.c', 'SET(CURLOPT_HTTP_TRANSFER_DECODING, 0L);', 'SET(CURLOPT_HTTP_TRANSFER_DECODING, 1L);'),
    ('src/sys/curl_setup.c', '(long)CURL_NETRC_IGNORED', '(long)CURL_NETRC_OPTIONAL'),
    ('src/sys/curl_setup.c', '(long)CURL_HTTP_VERSION_1_1', '(long)CURL_HTTP_VERSION_2TLS'),
    ('src/sys/curl_setup.c', ': CURL_SSLVERSION_TLSv1_2; /*', ': CURL_SSLVERSION_TLSv1_0; /*'),
    ('src/sys/curl_setup.c', 'q->tls13 ? CURL_SSLVERSION_TLSv1_3', 'q->tls13 ? CURL_SSLVERSION_TLSv1_2'),
    ('src/sys/curl_setup.c', 'proxied ? q->proxy.text.data : ""); /*', 'proxied ? q->proxy.text.data : NULL); /*'),
    # Two hands hold a POST back: libcurl may not rewind its body, nor send a second time. Either is enough.
    ('src/sys/curl_setup.c', '  return CURL_SEEKFUNC_FAIL;\n', '  x->sent = 0;\n  return CURL_SEEKFUNC_OK;\n', '    return CURL_PREREQFUNC_ABORT;\n', ''),
    # Two hands keep a proxy's head from being read as the server's.
    ('src/sys/curl_setup.c', '  if (x->begun == 0) return size * n; /* a proxy speaks */\n', '', '  SET(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);\n', ''),
    ('src/sys/curl_setup.c', '(x->request->url.https || x->request->proxy.https)) rc = set_tls', '(x->request->url.https)) rc = set_tls'),
    ('src/sys/curl_setup.c', '(long)(!reads(q) && q->body.len == 0)', '0L'),
    ('src/sys/curl_setup.c', 'localhost:%u:127.0.0.1,[::1]', 'localhost:%u:127.0.0.2'),
    ('src/sys/curl_setup.c', '>> 24 == 127', '>> 24 >= 127'),
    ('src/base/http1.c', 'SIZE_DIGITS = 16,', 'SIZE_DIGITS = 17,'),
    ('src/base/http1.c', 'EXTENSION_BYTES = 4096', 'EXTENSION_BYTES = 1 << 20'),
    ('src/bind/callback.c', 'STATE_BYTES = 32', 'STATE_BYTES = 12'),
    ('src/bind/callback.c', 'PENDING_LIFE = 600', 'PENDING_LIFE = 601'),
    ('src/bind/callback.c', 'ha_equal(p, n, wanted->data, wanted->len)', 'ha_equal(p, n < wanted->len ? n : wanted->len, wanted->data, n)'),
    ('src/bind/callback.c', 'lha_oauth_action(code->data ? code->data : "", true)', 'NULL'),
    ('lua/healthauth/lifecycle/renew.lua', 'inside.set_unknown(session, doubted or (lost and mark == own))', 'inside.set_unknown(session, doubted or lost)'),
    ('lua/healthauth/lifecycle/renew.lua', 'vault.swap(session, ctx, journal, version)', 'vault.swap(session, ctx, nil, version)'),
    ('lua/healthauth/lifecycle/renew.lua', 'local ROUNDS = 8', 'local ROUNDS = 1'),
    ('lua/healthauth/lifecycle/record.lua', 'part(provider) .. part(base_url) .. part(client_id)', 'part(provider) .. part(client_id)'),
    ('lua/healthauth/nginx/guard.lua', 'table.concat({ "healthauth verdict", provider, base_url, client_id or "", manner(session) }, "\\0")', 'provider'),
    ('lua/healthauth/nginx/guard.lua', 'client_id or "", manner(session) }', 'client_id or "" }'),
    ('lua/healthauth/nginx/guard.lua', 'ngx.req.get_headers(0)', 'ngx.req.get_headers()'),
    ('lua/healthauth/nginx/cache.lua', 'valid and VALID or GONE)', 'VALID)'),
    (CONNECT, 'pcall(sock.sslhandshake, sock, nil, host, true)', 'pcall(sock.sslhandshake, sock, nil, host, false)'),
    (CONNECT, 'pcall(sock.sslhandshake, sock, nil, host, true)', 'pcall(sock.sslhandshake, sock, nil, nil, true)'),
    (CONNECT, 'if is_address(host) then return', 'if true then return'),
    (CONNECT, 'and not key:find("ENCRYPTED", 1, true)', ''),
    (CONNECT, 'if ok then ok, failure = handshake(sock, asked.url.host) end', ''),
    (CONNECT, 'if answer.status < 200 or answer.status > 299 or extra then', 'if extra then'),
    (CONNECT, 'local LOCALHOST = { "127.0.0.1", "[::1]" }', 'local LOCALHOST = { "127.0.0.2" }'),
    (CONNECT, 'tls and tls.cert_file or "", tls and tls.key_file or "",', ''),
    (COSOCKET, 'and (asked.reads or second.outcome == "not_sent")', ''),
    (COSOCKET, 'local fresh = not asked.reads and asked.body == ""', 'local fresh = false'),
    (COSOCKET, 'if not whole or full or not reader:reusable() or not', 'if not'),
    (COSOCKET, 'if not whole or full or', 'if not whole or'),
    (COSOCKET, 'elseif why == "closed" and reader:headed() then', 'elseif reader:headed() then'),
    (COSOCKET, 'if #asked.body <= DUPLEX then', 'if true then'),
    (COSOCKET, 'if again then response, failure = once(self, asked, true, deadline) end', ''),
]

# Mutants that change nothing that anybody could see: (file, the line in --list behind the colon, why [, the function]).
HTTP1, HEAD, SETUP, TLS = 'src/base/http1.c', 'src/base/http1_head.c', 'src/sys/curl_setup.c', 'src/sys/curl_tls.c'
EQUIVALENT = [
    (HTTP1, 'r->left = 0;', 'a chunk that was read whole leaves 0'),
    (HTTP1, 'size_t n = r->line.len <= sizeof start - 1 ? r->line.len : sizeof start - 1;', 'both sides are the same there'),
    (HTTP1, 'bool ended = true;', 'the line reader sets it in any case'),
    (HTTP1, 'size_t take = r->state != READ_CLOSE && n >= r->left ? (size_t)r->left : n;', 'both sides are the same there'),
    (HTTP1, 'if (0 && (r->state == READ_CLOSE)) return take;', 'left counts down from 0 and meets 0 after 2^64 bytes'),
    (HTTP1, '} else if (r->digits == 0 || value > 0) {', 'a 17th zero is no CR, ";" or space, and fails below'),
    (HTTP1, '} else if ((u <= 0x20 && !space) || u == 0x7F) {', 'a space is a space'),
    (HEAD, 'if (0 && (len < STATUS_END || memcmp(line, VERSION, VERSION_LEN) != 0)) return HA_HTTP1_MALFORMED;',
     'the version was looked at byte by byte, and a short line fails at its CR'),
    (HEAD, 'if (len < STATUS_END && memcmp(line, VERSION, VERSION_LEN) != 0) return HA_HTTP1_MALFORMED;', 'as above'),
    (HEAD, 'value = value >= most ? value : value * 10 + (uint64_t)(p[i] - \'0\'); /* stays absurd once it is: any limit is smaller */',
     'no limit is near 2^60'),
    (HEAD, 'if (0 && (!colon)) return false;', 'the name then ends in the CR, which no name may hold'),
    (HEAD, 'while (from <= to && (line[from] == \' \' || line[from] == \'\\t\')) from++;', 'line[to] is the CR'),
    (HEAD, '*ended = false;', 'the caller has set it'),
    ('src/bind/call.c', "if (rc == HA_OK) rc = n && text[0] == '/' && !(n >= 1 && text[1] == '/') ? ha_url_join(&u, &base, text, n, why) : "
     'ha_url_parse(&u, text, n, why);', 'behind "/" alone stands the NUL'),
    ('lua/healthauth/pending.lua', 'count = 0', 'expired marks go more often'),
    ('lua/healthauth/pending.lua', 'if now > expires_at then spent[mark] = nil end', 'a pending is refused as expired from that second on'),
    ('lua/healthauth/verbs.lua', 'if false and (type(used) ~= "table") then used = nil end', 'the core has refused such a pending'),
    ('lua/healthauth/lifecycle/vault.lua', 'if login ~= found.login then return login >= found.login end', 'they are not the same there'),
    ('src/bind/token_answer.c', 'return seconds < 0 ? 0 : seconds >= LHA_TIME_MAX ? LHA_TIME_MAX : seconds;', 'both sides are the same there'),
    ('src/bind/session.c', 'double known = t->expires_at - t->obtained_at, life = t->obtained_at <= 0 ? 600 : known >= 0 ? known : 0; /* one may arrive expired */',
     'both sides are the same there'),
    ('src/bind/session.c', 'return t->obtained_at > 0 && *given >= life - rest ? life - rest : *given;', 'both sides are the same there'),
    ('src/bind/answer.c', 'if (0 && (!code)) lua_pop(L, 1);', 'what lies deeper on the stack is not looked at'),
    ('lua/healthauth/nginx/guard.lua', 'if valid == nil and err and err.kind == "argument" and err.code:find("token", 1, false) then',
     'the word is no pattern'),
    (SETUP, 'if (0 && (x->begun == 0)) return size * n; /* a proxy speaks */', 'libcurl keeps the head of a proxy to itself'),
    (SETUP, 'x->rewound = false;', 'libcurl ends with the same code, or on_begin says so'),
    (SETUP, 'if (0 && (s < 0 || s > STDERR_FILENO)) return s;', 'every socket is moved then'),
    (SETUP, 'if (s < 0 && s > STDERR_FILENO) return s;', 'the same'),
    (TLS, 'return pthread_once(&once, find) == 0 || ssl_pending && ssl_ctx_ctrl;', 'here libcurl has OpenSSL'),
    (TLS, 'return pthread_once(&once, find) == 0 && ssl_pending || ssl_ctx_ctrl;', 'the same'),
    (TLS, 'if (!found_all() || curl_easy_getinfo(easy, CURLINFO_TLS_SSL_PTR, &session) != CURLE_OK) return false;', 'the same'),
    (TLS, 'if (!session && session->backend != CURLSSLBACKEND_OPENSSL || !session->internals) return true;', 'the same'),
    ('src/base/url.c', 'if (0 && (memchr(p, \'@\', n))) return "the URL has a user name";', 'no name or address may hold an @; only the reason is better'),
    ('src/base/url.c', '*why = NULL;', 'what follows sets it'),
    ('src/base/url.c', 'if (0 && (len > HA_URL_MAX)) {', 'the buffer is as long as that'),
    ('src/base/url.c', 'rc = ha_buf_reserve(&next.text, len < HA_URL_MAX ? len + 1 : len);', 'adding reserves, too'),
    (SETUP, 'if (0 && (purpose != CURLSOCKTYPE_IPCXN)) return CURL_SOCKET_BAD;', 'HTTP opens no other'),
    (SETUP, 'same = strcmp(scheme, u->https ? "https" : "http") == 0 || strcmp(port, text) == 0 && n == u->host_len &&',
     'no URL that our grammar takes is read otherwise'),
    (SETUP, 'SET(CURLOPT_REQUEST_TARGET, u->text.data + u->path);', 'libcurl was told to leave the path as it is'),
    (SETUP, 'SET(CURLOPT_HTTPGET, 1L);', 'the default of a new handle'),
    (SETUP, 'SET(CURLOPT_SEEKFUNCTION, on_seek);', 'without one nothing can be rewound either'),
    (SETUP, 'SET(CURLOPT_PROTOCOLS_STR, "http,https");', 'our grammar takes no other'),
    (SETUP, 'SET(CURLOPT_REDIR_PROTOCOLS_STR, "https");', 'no redirect is followed'),
    (SETUP, 'SET(CURLOPT_FOLLOWLOCATION, 0L);', 'the default of a new handle; 1 is a mutant of its own'),
    (SETUP, 'SET(CURLOPT_HTTP09_ALLOWED, 0L);', 'our reader takes no HTTP/0.9'),
    (SETUP, 'SET(CURLOPT_HTTP_CONTENT_DECODING, 0L);', 'our reader takes no coded body'),
    (SETUP, 'SET(CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);', 'our grammar takes no user name'),
    (SETUP, 'SET(CURLOPT_NOSIGNAL, 1L);', 'a libcurl with a threaded resolver uses no signal'),
    (SETUP, 'SET(CURLOPT_NOPROGRESS, 1L);', 'the default of a new handle'),
    (SETUP, 'SET(CURLOPT_SSL_VERIFYHOST, 2L);', 'the default of a new handle; 0 is a mutant of its own'),
    (SETUP, 'SET(CURLOPT_SSL_VERIFYPEER, 1L);', 'the default of a new handle; 0 is a mutant of its own'),
    (SETUP, 'SET(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);', 'on_header passes them over, too'),
    (SETUP, 'if (proxied || q->proxy_user.len > 0) {', 'there is no user without a proxy'),
    (SETUP, 'if (proxied && q->proxy_user.len >= 0) {', 'no user is NULL to libcurl'),
    ('src/sys/curl_verdict.c', 'else if (0 && (x->rewound)) say(f, "network", "connection_lost", "the connection ended before any answer came; '
     'nothing is sent twice");', 'the refused rewinding ends with the same code'),
    ('src/base/secret.c', 'size_t i, n = alen <= blen ? alen : blen;', 'both sides are the same there'),
    ('src/base/query.c', 'while (at <= n) {', 'an empty piece is passed over'),
    ('src/bind/callback.c', 'lha_oauth_action(code->data ? code->data : "", false)); /* nil, err */', 'a refusal of a code is reauthorize by default'),
    ('lua/healthauth/nginx/guard.lua', 'repeated = repeated or twice', 'nginx refuses two Authorization headers by itself'),
    ('lua/healthauth/nginx/guard.lua', 'repeated = repeated and twice', 'own headers that are repeated are none, and that is refused, too'),
    ('lua/healthauth/lifecycle/call.lua', 'if false and (not exchange) then return nil, err end',
     'begun once before, to tell what is wrong before a refresh leaves', 'M.call'),
    ('src/bind/session.c', 'if (!refresh || refresh->life <= 0 || !t->refresh.data || t->refresh_at < 0 || t->obtained_at <= 0) return false;',
     'a refresh token of 1970 is dead'),
    ('lua/healthauth/lifecycle/fresh.lua', 'if false and (inside.state(session).has_token) then', 'the hot path hands them out; a renewal asks the store in any case'),
]
