#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The login and the status page in a real browser: browser.py [--keep]

Starts the served sandbox and a gateway (nginx, four workers, https), and walks through both with headless Chromium: login, two tabs at once,
a denial, an answer that comes twice, a failing provider, logout, the status page in light, dark and narrow. Screenshots: build/browser/.
--keep leaves both running and says where they are.
"""
import argparse
import os
import shutil
import sys
import tempfile
import time
import urllib.parse

from gateway import ROOT, Site
from webdriver import Browser

SHOTS = os.path.join(ROOT, 'build', 'browser')


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
        answer = self.site.provider_answer(page.where())
        page.go(answer)
        self.equal('an answer of the provider is taken', self.site.url + '/app', page.where())
        page.go(answer)
        self.equal('the same answer again is not', ['The login did not succeed', 'state_mismatch'], [page.text('h1'), page.text('code')])
        page.shot(f'{SHOTS}/twice.png')

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
        alarms = [line for line in self.site.log() if any(word in line for word in ('[error]', '[crit]', '[emerg]')) and ' healthauth: ' not in line]
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
