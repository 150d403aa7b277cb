#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The login and the status page in a real browser: browser.py [--keep]

Starts the served sandbox and a gateway (nginx, four workers, https), and walks through both with headless Chromium: login, two tabs at once,
a denial, an answer that comes twice, a failing provider, logout, the status page in light, dark and narrow. Screenshots: build/browser/.
--keep leaves both running and says where they are.
"""
import argparse
import json
import os
import shutil
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

from webdriver import Browser, free_port

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SHOTS = os.path.join(ROOT, 'build', 'browser')
CONF = '''
daemon off; worker_processes 4; user root; pid nginx.pid; error_log error.log notice;
load_module /usr/lib/nginx/modules/ndk_http_module.so; load_module /usr/lib/nginx/modules/ngx_http_lua_module.so;
events { worker_connections 1024; }
http {
  access_log off; client_body_temp_path b; proxy_temp_path p; fastcgi_temp_path f; uwsgi_temp_path u; scgi_temp_path s;
  lua_package_path "ROOT/lua/?.lua;ROOT/lua/?/init.lua;;"; lua_package_cpath "ROOT/build/luajit/?.so;;";
  lua_shared_dict counters 1m; lua_shared_dict verdicts 1m; lua_shared_dict sessions 4m; lua_shared_dict clock 64k;
  init_by_lua_block {
    local healthauth, hn = require "healthauth", require "healthauth.nginx"
    hn.init { dict = "counters" }
    local function clock() return ngx.time() + (ngx.shared.clock:get "skew" or 0) end
    local people = healthauth.sessions { provider = "pkb", store = healthauth.stores.shared_dict { name = "sessions" }, options = {
      base_url = "BOX/pkb", client_id = "sandbox-pkb-client", redirect_uri = "GATE/callback", scope = "PATIENT", clock = clock, timeout = 3 } }
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
    location = /status { content_by_lua_block { require("healthauth.nginx").status() } }
    location = /app { access_by_lua_block { require("healthauth.nginx").app.bearer() }
      content_by_lua_block { ngx.print("upstream got: ", ngx.req.get_headers().authorization:sub(1, 12), "...") } }
    location = /api { access_by_lua_block { require("healthauth.nginx").app.guard() } content_by_lua_block { ngx.print "in" } }
    location / { return 404; }
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
    """The sandbox and the gateway before it."""

    def __init__(self, folder):
        self.folder, self.port, self.started = folder, free_port(), []
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
        for word, value in {'ROOT': ROOT, 'BOX': self.box, 'GATE': self.url, 'PORT': str(self.port),
                            'CERTIFICATES': os.path.dirname(told['CA'])}.items():
            conf = conf.replace(word, value)
        with open(f'{folder}/nginx.conf', 'w', encoding='utf-8') as file:
            file.write(conf)
        self.start(['nginx', '-p', folder, '-e', 'error.log', '-c', 'nginx.conf'])
        self.wait(lambda: self.get('/bye')[0] == 200)

    def start(self, command):
        env = dict(os.environ, PATH=os.environ['PATH'] + ':/usr/sbin')
        self.started.append(subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL))

    def wait(self, done):
        end = time.monotonic() + 15
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

    def close(self):
        for process in reversed(self.started):
            process.terminate()
            process.wait()


class Walk:
    """What is tried, and what came of it."""

    def __init__(self, site, browser):
        self.site, self.browser, self.passed, self.failed = site, browser, 0, 0

    def say(self, what, fine, seen=None):
        self.passed, self.failed = self.passed + bool(fine), self.failed + (not fine)
        print(('ok      ' if fine else 'FAILED  ') + what + ('' if fine else f': {seen!r}'))

    def equal(self, what, wanted, seen):
        self.say(what, wanted == seen, seen)

    def ours(self, what):
        """What every page of ours keeps to."""
        page = self.browser
        self.equal(f'{what}: no script, nothing loaded from anywhere', [0, 0],
                   page.script('return [document.scripts.length, performance.getEntriesByType("resource").length]'))
        self.say(f'{what}: fits the screen', page.script('return document.documentElement.scrollWidth <= innerWidth'))

    def login(self, path='/app'):
        self.browser.go(self.site.url + path)
        self.browser.click('#allow')
        return self.browser

    def first_login(self):
        page = self.browser.go(self.site.url + '/app?x=1')
        self.say('a page that needs a login leads to the provider', page.where().startswith(self.site.box + '/pkb/'), page.where())
        page.click('#allow')
        self.equal('allowed: the person is back at the page asked for', self.site.url + '/app?x=1', page.where())
        self.say('the upstream gets the bearer', page.text().startswith('upstream got: Bearer '), page.text())
        cookies = page.cookies()
        self.equal('one cookie is left, the sealed session', ['__Host-ha_session'], sorted(cookies))
        one = cookies['__Host-ha_session']
        self.equal('it is HttpOnly, Secure, SameSite=Lax, for all of this host', [True, True, 'Lax', '/'],
                   [one['httpOnly'], one['secure'], one['sameSite'], one['path']])
        self.equal('no script of a page could read it', '', page.script('return document.cookie'))

    def tabs(self):
        page, first = self.browser, self.browser.tabs()[0]
        page.go(self.site.url + '/login?return_to=/app%3Ftab%3D1')
        second = page.tab()
        page.go(self.site.url + '/login?return_to=/app%3Ftab%3D2').click('#allow')
        self.equal('two tabs log in side by side: the second', self.site.url + '/app?tab=2', page.where())
        page.switch(first)
        page.click('#allow')
        self.equal('two tabs log in side by side: the first', self.site.url + '/app?tab=1', page.where())
        self.say('the person is logged in then', page.text().startswith('upstream got: Bearer '), page.text())
        page.switch(second)
        page.ask('DELETE', page.session + '/window')
        page.switch(first)

    def refused(self):
        page = self.browser.go(self.site.url + '/login').click('#deny')
        self.equal('denied: our page says so', ['The login was refused', 'access_denied'],
                   [page.text('h1'), page.text('code')])
        self.ours('the page of a denial')
        page.shot(f'{SHOTS}/denied.png')
        page.click('main a')
        self.say('its link begins a new login', page.where().startswith(self.site.box + '/pkb/'), page.where())
        state = urllib.parse.parse_qs(urllib.parse.urlsplit(page.where()).query)['state'][0]
        evil = urllib.parse.quote('<img src=x onerror="document.title=1"><script>document.title=2</script>')
        page.go(f'{self.site.url}/callback?error=access_denied&error_description={evil}&state={state}')
        self.equal('what the provider says is text, never markup', [0, 0, 'The login was refused'],
                   [page.count('img'), page.count('script'), page.title()])

    def twice(self):
        page = self.browser.go(self.site.url + '/login?return_to=/app')
        answer = self.provider_answer(page.where())
        page.go(answer)
        self.equal('an answer of the provider is taken', self.site.url + '/app', page.where())
        page.go(answer)
        self.equal('the same answer again is not', ['The login did not succeed', 'state_mismatch'], [page.text('h1'), page.text('code')])
        page.shot(f'{SHOTS}/twice.png')

    def provider_answer(self, url):
        """Where the provider would send the browser, without going there."""

        class Stay(urllib.request.HTTPRedirectHandler):
            def redirect_request(self, *args):
                return None

        try:
            urllib.request.build_opener(Stay).open(url + '&decision=allow', timeout=20)
        except urllib.error.HTTPError as answer:
            return answer.headers['Location']
        raise RuntimeError('the provider did not redirect')

    def trouble(self):
        self.site.control('fault', kind='unavailable', provider='pkb', operation='exchange', retry_after=9)
        page = self.login('/login')
        self.equal('a provider in trouble: our page says so', ['The login could not be finished', 'http_503'],
                   [page.text('h1'), page.text('code')])
        self.ours('the page of a failure')
        page.shot(f'{SHOTS}/trouble.png')

    def logout(self):
        page = self.login('/login').go(self.site.url + '/logout')
        page.shot(f'{SHOTS}/logout.png')
        page.click('button')
        self.equal('the button logs out', [self.site.url + '/bye', {}], [page.where(), page.cookies()])
        page.go(self.site.url + '/app')
        self.say('then a login is needed again', page.where().startswith(self.site.box + '/pkb/'), page.where())

    def traffic(self):
        """Something to see on the status page."""
        site = self.site
        token, gone = site.token(), site.token()
        site.control('revoke', token=gone)
        for path, headers in [('/api', {'Conneqt-Instant-Access-Token': token})] * 40 + [('/api', {'Conneqt-Instant-Access-Token': gone})] * 3 \
                + [('/api', {})] * 2:
            site.get(path, headers)
        site.control('fault', kind='rate_limit', provider='conneqt', operation='verify', retry_after=3)
        site.get('/api', {'Conneqt-Instant-Access-Token': site.token()})
        cookies = []
        for _ in range(4):
            self.browser.devtools('Network.clearBrowserCookies')
            page = self.login('/login?return_to=/app')
            cookies.append('__Host-ha_session=' + page.cookies()['__Host-ha_session']['value'])
        for by in (990, 1990, 2990):  # the tokens live 1000 s
            site.get(f'/skew?by={by}')
            for cookie in cookies[1:]:
                site.get('/app', {'Cookie': cookie})
            time.sleep(0.3)
        site.control('fault', kind='unavailable', provider='pkb', operation='refresh')
        site.get('/skew?by=4100')
        for cookie in cookies:
            site.get('/app', {'Cookie': cookie})
        site.get('/past')

    def status(self):
        page = self.browser
        page.look(False, 1180, 900)
        page.go(self.site.url + '/status')
        self.equal('the status page has its three parts', ['Refreshes', 'Sessions', 'Errors'],
                   page.script('return [...document.querySelectorAll("main > section > h2")].map(e => e.innerText)'))
        tables = page.script('return [...document.querySelectorAll("table")].map(t => t.rows.length - 1)')
        self.say('every session and every error has its row', len(tables) == 2 and tables[0] >= 5 and tables[1] >= 3, tables)
        self.say('sessions are fingerprints', page.script(
            'return [...document.querySelectorAll("table")][0].rows[1].cells[0].innerText').strip('0123456789abcdef') == '')
        lives = page.script('return [...document.querySelectorAll("table")[0].rows].slice(1).map(r => r.cells[2].innerText)')
        self.say('expiry is told of each that has a token', all(life == 'none' or life.startswith('in ') for life in lives), lives)
        bars = page.script('return [...document.querySelectorAll("svg rect")].map(r => [r.getAttribute("class"), r.getBBox().height])')
        kinds = {kind for kind, height in bars if height > 0}
        self.equal('the picture has bars of both kinds', {'ok', 'failed'}, kinds)
        words = page.script('return document.querySelector("svg title").textContent')
        self.say('and says in words what it shows', 'refreshes went well' in words, words)
        self.ours('the status page')
        page.shot(f'{SHOTS}/status.png')
        page.look(True, 1180, 900)
        page.shot(f'{SHOTS}/status-dark.png')
        page.look(False, 420, 800)
        page.go(self.site.url + '/status')
        self.ours('the status page on a phone')
        page.shot(f'{SHOTS}/status-narrow.png')
        page.look(False, 1180, 900)

    def all(self):
        for part in (self.first_login, self.tabs, self.refused, self.twice, self.trouble, self.logout, self.traffic, self.status):
            part()
        odd = [text for text in self.browser.complaints() if 'status of' not in text and 'favicon' not in text]
        self.equal('the browser had nothing to complain of', [], odd)
        with open(f'{self.site.folder}/error.log', encoding='utf-8') as file:
            alarms = [line for line in file if ('[error]' in line or '[crit]' in line or '[emerg]' in line) and ' healthauth: ' not in line]
        self.equal('nginx wrote no alarm but our own', [], alarms)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--keep', action='store_true')
    options = parser.parse_args()
    os.makedirs(SHOTS, exist_ok=True)
    folder = tempfile.mkdtemp(prefix='healthauth-browser.')
    site = browser = None
    try:
        site = Site(folder)
        browser = Browser(folder)
        walk = Walk(site, browser)
        walk.all()
        print(f'screenshots: {SHOTS}')
        if options.keep:
            print(f'{site.url}/status, until Enter')
            sys.stdin.readline()
    finally:
        for one in (browser, site):
            if one:
                one.close()
        shutil.rmtree(folder, ignore_errors=True)
    print(f'{walk.passed} passed, {walk.failed} failed, 0 skipped')
    return 1 if walk.failed else 0


if __name__ == '__main__':
    sys.exit(main())
