# SPDX-License-Identifier: MIT
"""A headless Chromium, driven through chromedriver's HTTP interface (W3C WebDriver) with nothing but Python's own library."""
import base64
import json
import socket
import subprocess
import time
import urllib.error
import urllib.request

PATIENCE = 20
ELEMENT = 'element-6066-11e4-a52e-4f735466cecf'
FLAGS = [
    '--headless=new', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync', '--disable-extensions', '--ignore-certificate-errors', '--hide-scrollbars',
    '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1',
]


def free_port():
    with socket.socket() as one:
        one.bind(('127.0.0.1', 0))
        return one.getsockname()[1]


class Failed(Exception):
    pass


class Browser:
    """One browser with an empty profile in a folder of the caller's."""

    def __init__(self, folder, width=1180, height=900):
        self.port = free_port()
        self.log = open(f'{folder}/chromedriver.log', 'w', encoding='utf-8')
        self.process = subprocess.Popen(['chromedriver', f'--port={self.port}'], stdout=self.log, stderr=self.log, stdin=subprocess.DEVNULL)
        self.session = None
        flags = FLAGS + [f'--window-size={width},{height}', f'--user-data-dir={folder}/profile']
        wanted = {'browserName': 'chrome', 'goog:loggingPrefs': {'browser': 'ALL'},
                  'goog:chromeOptions': {'binary': '/usr/bin/chromium', 'args': flags}}
        end = time.monotonic() + PATIENCE
        while True:
            try:
                made = self.ask('POST', '/session', {'capabilities': {'alwaysMatch': wanted}})
                break
            except OSError:
                if time.monotonic() > end or self.process.poll() is not None:
                    self.close()
                    raise
                time.sleep(0.1)
        self.session = f"/session/{made['sessionId']}"

    def ask(self, method, path, body=None):
        data = json.dumps(body or {}).encode() if method == 'POST' else None
        request = urllib.request.Request(f'http://127.0.0.1:{self.port}{path}', data, {'Content-Type': 'application/json'}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=3 * PATIENCE) as answer:
                return json.load(answer)['value']
        except urllib.error.HTTPError as error:
            raise Failed(json.load(error)['value']['message'].split('\n')[0]) from None

    def do(self, path, body=None):
        return self.ask('POST', self.session + path, body)

    def read(self, path):
        return self.ask('GET', self.session + path)

    def go(self, url):
        self.do('/url', {'url': url})
        return self

    def where(self):
        return self.read('/url')

    def title(self):
        return self.read('/title')

    def script(self, text):
        return self.do('/execute/sync', {'script': text, 'args': []})

    def text(self, selector='body'):
        return self.script(f'return document.querySelector({json.dumps(selector)}).innerText')

    def count(self, selector):
        return self.script(f'return document.querySelectorAll({json.dumps(selector)}).length')

    def click(self, selector):
        """Clicks what leads to another page, and waits until the browser is there."""
        before, found = self.where(), self.do('/element', {'using': 'css selector', 'value': selector})
        self.do(f'/element/{found[ELEMENT]}/click')
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end and (self.where() == before or self.script('return document.readyState') != 'complete'):
            time.sleep(0.02)
        return self

    def cookies(self):
        return {one['name']: one for one in self.read('/cookie')}

    def tab(self):
        """A further tab; the browser goes on in it. Its handle."""
        handle = self.do('/window/new', {'type': 'tab'})['handle']
        self.switch(handle)
        return handle

    def switch(self, handle):
        self.do('/window', {'handle': handle})

    def tabs(self):
        return self.read('/window/handles')

    def devtools(self, command, **params):
        return self.do('/goog/cdp/execute', {'cmd': command, 'params': params})

    def look(self, dark, width, height):
        """Screen size and colour scheme."""
        self.devtools('Emulation.setEmulatedMedia', features=[{'name': 'prefers-color-scheme', 'value': 'dark' if dark else 'light'}])
        self.devtools('Emulation.setDeviceMetricsOverride', width=width, height=height, deviceScaleFactor=1, mobile=False)

    def shot(self, path):
        size = self.devtools('Page.getLayoutMetrics')['cssContentSize']
        shown = self.devtools('Page.captureScreenshot', captureBeyondViewport=True,
                              clip={'x': 0, 'y': 0, 'width': size['width'], 'height': size['height'], 'scale': 1})
        with open(path, 'wb') as file:
            file.write(base64.b64decode(shown['data']))

    def complaints(self):
        """What the browser's console said since the last look."""
        return [entry['message'] for entry in self.do('/se/log', {'type': 'browser'})]

    def close(self):
        try:
            if self.session:
                self.ask('DELETE', self.session)
        except (OSError, Failed):
            pass
        self.process.terminate()
        self.process.wait()
        self.log.close()
