# SPDX-License-Identifier: MIT
"""A gateway with everything in it (nginx over https, before the served sandbox), for browser.py and nginx_soak.py."""
import http.cookies
import json
import os
import ssl
import subprocess
import time
import urllib.error
import urllib.request

from webdriver import free_port

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
CONF = '''
daemon off; MASTER user root; pid nginx.pid; error_log error.log notice;
load_module /usr/lib/nginx/modules/ndk_http_module.so; load_module /usr/lib/nginx/modules/ngx_http_lua_module.so;
events { worker_connections 1024; }
http {
  access_log off; client_body_temp_path b; proxy_temp_path p; fastcgi_temp_path f; uwsgi_temp_path u; scgi_temp_path s;
  lua_package_path "ROOT/lua/?.lua;ROOT/lua/?/init.lua;;"; lua_package_cpath "ROOT/build/luajit/?.so;;";
  lua_shared_dict counters 1m; lua_shared_dict verdicts 1m; lua_shared_dict sessions 4m; lua_shared_dict clock 64k;
  lua_socket_log_errors off;
  init_by_lua_block {
    INIT
    globals = {}
    for name in pairs(_G) do globals[name] = true end
    local healthauth, hn = require "healthauth", require "healthauth.nginx"
    hn.init { dict = "counters" }
    local function clock() return ngx.time() + (ngx.shared.clock:get "skew" or 0) end
    local people = healthauth.sessions { provider = "pkb", store = healthauth.stores.shared_dict { name = "sessions" }, options = {
      base_url = "BOX/pkb", client_id = "sandbox-pkb-client", redirect_uri = "GATE/callback", scope = "PATIENT", clock = clock, timeout = 10 } }
    local browser = { secret = "a secret of this script, 32 bytes or more", after_logout = "/bye" }
    local app = hn.app
    app.login, app.callback, app.logout = hn.login(people, browser), hn.callback(people, browser), hn.logout(people, browser)
    app.bearer = hn.bearer(people, { browser = browser })
    app.guard = hn.guard(healthauth.conneqt { base_url = "BOX/conneqt", api_key = "sandbox-conneqt-api-key" }, { cache = { dict = "verdicts" } })
  }
  server {
    listen 127.0.0.1:PORT ssl; ssl_certificate CERTIFICATES/server.pem; ssl_certificate_key CERTIFICATES/server.key;
    default_type text/plain;
    location = /login { content_by_lua_block { require("healthauth.nginx").app.login() } }
    location = /callback { content_by_lua_block { require("healthauth.nginx").app.callback() } }
    location = /logout { content_by_lua_block { require("healthauth.nginx").app.logout() } }
    location = /metrics { content_by_lua_block { require("healthauth.nginx").metrics() } }
    location = /status { content_by_lua_block { require("healthauth.nginx").status() } }
    location = /app { access_by_lua_block { require("healthauth.nginx").app.bearer() }
      content_by_lua_block { ngx.print("upstream got: ", ngx.req.get_headers().authorization:sub(1, 12), "...") } }
    location = /api { access_by_lua_block { require("healthauth.nginx").app.guard() } content_by_lua_block { ngx.print "in" } }
    location / { return 404; }
    location = /globals { content_by_lua_block { for name in pairs(_G) do if not globals[name] then ngx.say(name) end end } }
    location = /dirty { content_by_lua_block { dirty = true ngx.print "ok" } }
    location = /heap { content_by_lua_block { collectgarbage() collectgarbage() ngx.print(collectgarbage "count") } }
    location = /bye { return 200 "logged out"; }
    location = /skew { content_by_lua_block { ngx.shared.clock:set("skew", tonumber(ngx.var.arg_by)) ngx.print "ok" } }
    location = /past { content_by_lua_block { -- an hour that nobody waited for: refreshes of earlier minutes
      local now = math.floor(ngx.time() / 60) * 60
      for i = 1, 59 do
        ngx.shared.counters:incr("r:" .. now - i * 60 .. ":ok", (i * 7) % 5 + (i % 13 == 0 and 6 or 1), 0, 3600)
        if i % 11 == 4 then ngx.shared.counters:incr("r:" .. now - i * 60 .. ":failed", i % 3 + 1, 0, 3600) end
      end
      ngx.print "ok"
    } }
  }
}
'''


class Site:
    """The sandbox and the gateway before it. master: nginx's lines about processes; init: Lua that goes first; under: what nginx runs under."""

    def __init__(self, folder, master='worker_processes 4;', init='', under=()):
        self.folder, self.port, self.started = folder, free_port(), []
        self.jar = http.cookies.SimpleCookie()
        self.url = f'https://localhost:{self.port}'
        self.context = ssl.create_default_context()
        self.context.check_hostname, self.context.verify_mode = False, ssl.CERT_NONE
        options = {'pkb': {'access_lifetime': 1000}, 'credentials': {'pkb': {'redirect_uri': self.url + '/callback'}}}
        ready = f'{folder}/ready'
        self.start([f'{ROOT}/tools/sandbox-server', '--ready', ready, '--options', json.dumps(options)])
        self.wait(lambda: os.path.exists(ready))
        with open(ready, encoding='ascii') as file:
            told = dict(line.strip().split('=', 1) for line in file)
        self.box = told['HTTP']
        conf = CONF
        for word, value in {'MASTER': master, 'INIT': init, 'ROOT': ROOT, 'BOX': self.box, 'GATE': self.url, 'PORT': str(self.port),
                            'CERTIFICATES': os.path.dirname(told['CA'])}.items():
            conf = conf.replace(word, value)
        with open(f'{folder}/nginx.conf', 'w', encoding='utf-8') as file:
            file.write(conf)
        self.nginx = self.start([*under, 'nginx', '-p', folder, '-e', 'error.log', '-c', 'nginx.conf'])
        self.wait(lambda: self.get('/bye')[0] == 200)

    def start(self, command):
        env = dict(os.environ, PATH=os.environ['PATH'] + ':/usr/sbin')
        self.started.append(subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL))
        return self.started[-1]

    def wait(self, done):
        end = time.monotonic() + 60
        while True:
            try:
                if done():
                    return
            except OSError:
                pass
            if time.monotonic() > end or self.started[-1].poll() is not None:
                raise RuntimeError('a server did not start')
            time.sleep(0.05)

    def get(self, path, headers=None):
        request = urllib.request.Request(path if '://' in path else self.url + path, headers=headers or {})
        try:
            with urllib.request.urlopen(request, timeout=20, context=self.context) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def control(self, word, **fields):
        request = urllib.request.Request(f'{self.box}/control/{word}', json.dumps(fields).encode(), {'Content-Type': 'application/json'})
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.load(answer)

    def token(self):
        """A Conneqt token."""
        code = self.control('access_code')['access_code']
        request = urllib.request.Request(
            f'{self.box}/conneqt/api/v1/messages/instant/access/token', json.dumps({'accessCode': code}).encode(),
            {'Content-Type': 'application/json', 'ApiKey': 'sandbox-conneqt-api-key'})
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.load(answer)['token']

    def person(self):
        """Somebody logs in; the cookie, as a header's value."""
        return self.answered(self.provider_answer(self.away('/login?return_to=/app')))

    def away(self, path, headers=None):
        """Where a page sends the browser, without going there; its cookies stay in self.jar."""

        class Stay(urllib.request.HTTPRedirectHandler):
            def redirect_request(self, *args):
                return None

        opener = urllib.request.build_opener(Stay, urllib.request.HTTPSHandler(context=self.context))
        try:
            opener.open(urllib.request.Request(path if '://' in path else self.url + path, headers=headers or {}), timeout=60)
        except urllib.error.HTTPError as answer:
            self.jar = http.cookies.SimpleCookie('; '.join(line.split(';')[0] for line in answer.headers.get_all('Set-Cookie') or []))
            return answer.headers['Location']
        raise RuntimeError('no redirect')

    def provider_answer(self, url):
        """Where the provider sends the browser when the person allows."""
        attempt = self.jar
        answer = self.away(url + '&decision=allow')
        self.jar = attempt
        return answer

    def answered(self, callback):
        """The callback with the cookie of its attempt: the session's cookie."""
        self.away(callback, {'Cookie': '; '.join(f'{one.key}={one.value}' for one in self.jar.values())})
        return '; '.join(f'{one.key}={one.value}' for one in self.jar.values() if one.key.endswith('_session'))

    def log(self):
        with open(f'{self.folder}/error.log', encoding='utf-8') as file:
            return file.readlines()

    def close(self):
        for process in reversed(self.started):
            process.terminate()
            process.wait()
