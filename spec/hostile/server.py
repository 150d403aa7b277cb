#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A server that does the bad thing that it is asked for: server.py SCRIPTS CERTIFICATES

SCRIPTS is what spec/hostile/script.lua writes: for each case, the steps to take on a request whose path begins with /case/NAME. CERTIFICATES
is a folder made by spec/support/make_ca.sh. Listens on loopback ports that the kernel picks, prints "name port" lines and "ready".
GET /count/NAME tells how many requests a case has seen, GET /seen/NAME shows the last one, GET /played/NAME how often its steps
have come to their end, GET /heal/NAME lets the case answer well from now on, GET /good is an ordinary answer and GET /link tells which
connection this is.
"""
import itertools
import os
import select
import socket
import ssl
import struct
import sys
import threading
import time
import warnings

warnings.simplefilter('ignore', DeprecationWarning)  # TLS 1.0 and 1.1 are old, that is the point

LIFE = 600       # nobody needs it longer
IDLE = 20        # seconds that a connection may say nothing
PATIENCE = 4     # seconds for an endless answer
GOOD = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}'
lock = threading.Lock()
counts, seen, played = {}, {}, {}
well, healed = {}, set()
serial = itertools.count(1)


class Over(Exception):
    """The connection is finished."""


def load(path):
    cases, steps = {}, None
    with open(path, encoding='ascii') as lines:
        for line in lines:
            word, *rest = line.split()
            if word == 'case':
                name = rest[0]
                cases[name] = turns = []
                steps = None
            elif word == 'well':
                well[name] = bytes.fromhex(rest[0])
            elif word == 'turn':
                steps = []
                turns.append(steps)
            else:
                steps.append((word, rest))
    return cases


class Link:
    """One accepted connection, plain or TLS."""

    def __init__(self, raw, context):
        self.raw, self.buffer, self.turns, self.serial = raw, b'', {}, next(serial)
        raw.settimeout(IDLE)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.io = context.wrap_socket(raw, server_side=True) if context else raw
        self.tls = context is not None

    def more(self):
        data = self.io.recv(65536)
        if not data:
            raise Over
        self.buffer += data

    def head(self):
        while b'\r\n\r\n' not in self.buffer:
            self.more()
        head, self.buffer = self.buffer.split(b'\r\n\r\n', 1)
        return head

    def body(self, head):
        length = 0
        for line in head.split(b'\r\n')[1:]:
            name, _, value = line.partition(b':')
            if name.lower() == b'content-length':
                length = int(value)
        while len(self.buffer) < length:
            self.more()
        body, self.buffer = self.buffer[:length], self.buffer[length:]
        return body

    def send(self, data):
        self.io.sendall(data)

    def reset(self):
        fd = self.io.detach() if self.tls else self.raw.detach()
        plain = socket.socket(fileno=fd)
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
        plain.close()
        raise Over

    def cut(self):
        """Ends TCP without TLS's goodbye."""
        os.close(self.io.detach() if self.tls else self.raw.detach())
        raise Over

    def close(self):
        if self.tls:
            self.io.settimeout(0.05)
            try:
                self.io.unwrap()
            except (OSError, ValueError):
                pass
        self.io.close()
        raise Over


def endless(link, piece):
    until = time.monotonic() + PATIENCE
    block = piece * max(1, 65536 // len(piece))
    while time.monotonic() < until:
        link.send(block)
    link.close()


def play(link, steps):
    for word, rest in steps:
        if word == 'send':
            link.send(bytes.fromhex(rest[0]) if rest else b'')
        elif word == 'repeat':
            count, piece = int(rest[0]), bytes.fromhex(rest[1])
            block = max(1, 65536 // len(piece))
            while count > 0:
                link.send(piece * min(count, block))
                count -= block
        elif word == 'drip':
            for byte in bytes.fromhex(rest[1]):
                link.send(bytes([byte]))
                time.sleep(float(rest[0]))
        elif word == 'sleep':
            time.sleep(float(rest[0]))
        elif word == 'endless':
            endless(link, bytes.fromhex(rest[0]))
        elif word == 'keep':
            return
        elif word in ('reset', 'cut', 'close'):
            getattr(link, word)()
        elif word != 'early':
            raise SystemExit(f'unknown step {word}')
    link.close()


def text(body):
    return b'HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s' % (len(body), body)


def one_request(link, cases):
    head = link.head()
    path = head.split(b' ')[1].decode('latin-1').split('?')[0]
    parts = path.split('/')
    if parts[1] == 'case' and parts[2] in cases:
        name = parts[2]
        turns = cases[name]
        with lock:
            counts[name] = counts.get(name, 0) + 1
            seen[name] = head + b'\r\n\r\n'
        if name in healed:
            link.body(head)
            link.send(well[name])
            return
        turn = link.turns.get(name, 0)
        link.turns[name] = turn + 1
        steps = turns[min(turn, len(turns) - 1)]
        if steps[0][0] != 'early':
            body = link.body(head)
            with lock:
                seen[name] += body
        try:
            play(link, steps)
        finally:
            with lock:
                played[name] = played.get(name, 0) + 1
        return
    link.body(head)
    with lock:
        if parts[1] == 'count':
            answer = text(b'%d' % counts.get(parts[2], 0))
        elif parts[1] == 'played':
            answer = text(b'%d' % played.get(parts[2], 0))
        elif parts[1] == 'seen':
            answer = text(seen.get(parts[2], b''))
        elif parts[1] == 'link':
            answer = text(b'%d' % link.serial)
        elif parts[1] == 'heal':
            healed.add(parts[2])
            answer = GOOD
        elif parts[1] == 'good':
            answer = GOOD
        else:
            answer = b'HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n'
    link.send(answer)


def serve(raw, context, cases):
    try:
        link = Link(raw, context)
        while True:
            one_request(link, cases)
    except (Over, OSError, ssl.SSLError, ValueError):
        pass
    finally:
        raw.close()


def proxy(raw, answer):
    """A CONNECT proxy; answer None: it does its work, else that is all that it says."""
    try:
        link = Link(raw, None)
        head = link.head()
        with lock:
            counts['proxy'] = counts.get('proxy', 0) + 1
            seen['proxy'] = head
        if answer is not None:
            link.send(answer)
            link.close()
        target = head.split(b' ')[1].decode('ascii').rsplit(':', 1)
        far = socket.create_connection((target[0].strip('[]'), int(target[1])), 5)
        link.send(b'HTTP/1.1 200 Connection established\r\nX-Proxy: yes\r\n\r\n')
        pair = {raw: far, far: raw}
        while True:
            for ready in select.select(list(pair), [], [], IDLE)[0]:
                data = ready.recv(65536)
                if not data:
                    return
                pair[ready].sendall(data)
    except (Over, OSError, ValueError):
        pass
    finally:
        raw.close()


def say_and_close(data, hold):
    def handle(raw):
        try:
            if data:
                raw.sendall(data)
            time.sleep(hold)
            raw.close()
        except OSError:
            pass
    return handle


def reset_at_once(raw):
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
    raw.close()


def tls(folder, name, least=ssl.TLSVersion.TLSv1_2, most=ssl.TLSVersion.TLSv1_3, client=False):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if most < ssl.TLSVersion.TLSv1_2:
        context.set_ciphers('ALL:@SECLEVEL=0')
    context.minimum_version, context.maximum_version = min(least, most), most
    context.set_alpn_protocols(['h2', 'http/1.1'])  # who offers HTTP/2 gets it, and cannot read what comes
    context.load_cert_chain(f'{folder}/{name}.pem', f'{folder}/{name}.key')
    if client:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(f'{folder}/ca.pem')
    return context


def accept(listener, handle):
    while True:
        raw, _ = listener.accept()
        threading.Thread(target=handle, args=(raw,), daemon=True).start()


def new_listener(backlog=64):
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)  # what is not read stays with whoever sent it
    listener.bind(('127.0.0.1', 0))
    if backlog is not None:
        listener.listen(backlog)
    return listener


def main():
    cases, folder = load(sys.argv[1]), sys.argv[2]
    one_two, one_one = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_1
    contexts = {'http': None, 'https': tls(folder, 'good')}
    for name in ('expired', 'future', 'wrong_host', 'self_signed', 'other_ca'):
        contexts['https_' + name] = tls(folder, name)
    contexts['https_client'] = tls(folder, 'good', client=True)
    contexts['https_client_12'] = tls(folder, 'good', most=one_two, client=True)
    contexts['https_12'] = tls(folder, 'good', most=one_two)
    contexts['https_11'] = tls(folder, 'good', most=one_one)
    contexts['https_10'] = tls(folder, 'good', most=ssl.TLSVersion.TLSv1)
    handlers = {name: (lambda raw, c=c: serve(raw, c, cases)) for name, c in contexts.items()}
    handlers['tls_garbage'] = say_and_close(b'\x00\x01\x02 this is no handshake \xff' * 20, 0)
    handlers['tls_http'] = say_and_close(b'HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n', 0)
    handlers['tls_alert'] = say_and_close(b'\x15\x03\x03\x00\x02\x02\x28', 0)
    handlers['tls_big_record'] = say_and_close(b'\x16\x03\x03\xff\xff' + b'x' * 70000, 0)
    handlers['tls_stall'] = say_and_close(b'', IDLE)
    handlers['tls_half'] = say_and_close(b'\x16\x03\x03\x00\x7a\x02\x00', IDLE)
    handlers['closes'] = say_and_close(b'', 0)
    handlers['resets'] = reset_at_once
    handlers['unasked'] = say_and_close(GOOD, IDLE)
    handlers['proxy'] = lambda raw: proxy(raw, None)
    handlers['proxy_407'] = lambda raw: proxy(raw, b'HTTP/1.1 407 Who are you\r\nProxy-Authenticate: Basic realm="x"\r\nContent-Length: 0\r\n\r\n')
    handlers['proxy_502'] = lambda raw: proxy(raw, b'HTTP/1.1 502 Bad Gateway\r\nContent-Length: 9\r\n\r\ntoo bad\r\n')
    handlers['proxy_garbage'] = lambda raw: proxy(raw, b'\xff\xfe\x00garbage\r\n\r\n')
    handlers['proxy_redirect'] = lambda raw: proxy(raw, b'HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1/\r\nContent-Length: 0\r\n\r\n')
    handlers['proxy_cut'] = lambda raw: proxy(raw, b'')
    handlers['proxy_stall'] = say_and_close(b'', IDLE)
    keep = []
    for name, handle in handlers.items():
        listener = new_listener()
        threading.Thread(target=accept, args=(listener, handle), daemon=True).start()
        print(name, listener.getsockname()[1])
    refused = new_listener(None)  # bound, so that nobody else gets the port; not listening
    stuck = new_listener(0)       # its queue is full: further connections are neither made nor refused
    for _ in range(2):
        filler = socket.socket()
        filler.setblocking(False)
        filler.connect_ex(stuck.getsockname())
        keep.append(filler)
    print('refused', refused.getsockname()[1])
    print('stuck', stuck.getsockname()[1])
    print('ready', flush=True)
    time.sleep(LIFE)


main()
