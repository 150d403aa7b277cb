#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The three providers as far as the fault tests need them, counting: server.py CERTIFICATES

Serves http, https and a control port on loopback ports that the kernel picks; prints "name port" lines and "ready". Whatever comes in is
counted: bytes of any kind, whole requests that change tokens, and all whole requests. Every token is new and ends in its serial number.
GET on the control port tells the counts, after everything that has already arrived was looked at: one thread, so nothing is under way.
A refresh token or code that holds "refuse" is refused, in words that give it back.
"""
import json
import select
import socket
import ssl
import sys
import time

LIFE = 1800  # seconds; nobody needs it longer
state = {'bytes': 0, 'token_posts': 0, 'requests': 0, 'serial': 0}


def answer(status, value, more=''):
    body = b'' if value is None else json.dumps(value).encode()
    head = f'HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n{more}\r\n'
    return head.encode() + body


def token_answer(path, body):
    state['token_posts'] += 1
    if b'refuse' in body:
        return answer(400, {'error': 'invalid_grant', 'error_description': 'no such grant: ' + body.decode('latin-1')})
    state['serial'] += 1
    access, refresh = f'planted-marker-access-{state["serial"]}', f'planted-marker-refresh-{state["serial"]}'
    if path == '/oauth/tokens':
        return answer(201, {'meta': {'code': 201}, 'data': {
            'value': access, 'expires_at': int(time.time()) + 3600, 'details': {'refresh_token': refresh, 'scope': 'a'}}})
    if path.startswith('/api/v1/messages'):
        return answer(200, {'token': access})
    return answer(200, {'access_token': access, 'refresh_token': refresh, 'token_type': 'Bearer', 'expires_in': 3600, 'scope': 'PATIENT'})


TOKEN_PATHS = ('/apiToken.action', '/oauth/tokens', '/api/v1/messages/instant/access/token', '/api/oauth/token')


def provider(method, path, body):
    state['requests'] += 1
    if method == 'POST' and path in TOKEN_PATHS:
        return token_answer(path, body)
    if path.endswith('/verify') or path == '/api/v1/test' or path == '/auth/logout':
        return answer(200, None)
    return answer(200, {'path': path})


class Link:
    """One accepted connection; nothing here blocks."""

    def __init__(self, raw, context, control):
        raw.setblocking(False)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.control, self.buffer, self.shaking = control, b'', context is not None
        self.io = context.wrap_socket(raw, server_side=True, do_handshake_on_connect=False) if context else raw

    def fileno(self):
        return self.io.fileno()

    def ready(self):
        """Reads all that is there; False when the connection is over."""
        try:
            if self.shaking:
                self.io.do_handshake()
                self.shaking = False
            while True:
                data = self.io.recv(65536)
                if not data:
                    return False
                if not self.control:
                    state['bytes'] += len(data)
                self.buffer += data
                while self.take():
                    pass
        except (ssl.SSLWantReadError, BlockingIOError):
            return True
        except (OSError, ValueError):
            return False

    def take(self):
        head, found, rest = self.buffer.partition(b'\r\n\r\n')
        if not found:
            return False
        lines = head.decode('latin-1').split('\r\n')
        length = 0
        for line in lines[1:]:
            name, _, value = line.partition(':')
            if name.lower() == 'content-length':
                length = int(value)
        if len(rest) < length:
            return False
        self.buffer = rest[length:]
        method, path = lines[0].split(' ')[:2]
        if self.control:
            waiting.append(self)
        else:
            self.io.sendall(provider(method, path.split('?')[0], rest[:length]))
        return True


waiting = []


def main():
    folder = sys.argv[1]
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(f'{folder}/good.pem', f'{folder}/good.key')
    listeners, links, poller = {}, {}, select.poll()
    for name, context in (('http', None), ('https', tls), ('control', None)):
        listener = socket.socket()
        listener.bind(('127.0.0.1', 0))
        listener.listen(64)
        listener.setblocking(False)
        listeners[listener.fileno()] = (listener, context, name == 'control')
        poller.register(listener, select.POLLIN)
        print(name, listener.getsockname()[1])
    print('ready', flush=True)

    def step(patience):
        events = poller.poll(patience)
        for fd, _ in events:
            if fd in listeners:
                listener, context, control = listeners[fd]
                try:
                    link = Link(listener.accept()[0], context, control)
                except OSError:
                    continue
                links[link.fileno()] = link
                poller.register(link, select.POLLIN)
            elif not links[fd].ready():
                poller.unregister(fd)
                links.pop(fd).io.close()
        return events

    until = time.monotonic() + LIFE
    while time.monotonic() < until:
        step(1000)
        while waiting and step(0):
            pass
        for link in waiting:
            try:
                link.io.sendall(answer(200, state))
            except OSError:
                pass
        waiting.clear()


main()
