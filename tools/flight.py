#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Many processes, one session, one refresh: flight.py [--rounds N] [--processes N] [--store sqlite|redis|both] [--runtime VM] [--restart N]

In each round the token has expired and all processes ask at once, over a store and against the sandbox's PKB: a refresh token works once,
and one that comes twice kills the whole session. Right is: one refresh a round, every process gets that round's token, no replay seen.
--restart N stops and starts redis in every Nth round while processes ask; then a round may also end with an answer that nobody could save.
Also holds what kill.py needs: Server (a provider of its own, which knows many sessions and takes its time), Redis, Worker.
"""
import argparse
import json
import os
import random
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# A holder that lives is never too late for these, however busy the machine is. Where redis is away a lease may be left over: then it is
# short, and a round may end as unknown.
TIMEOUT, LEASE, SHORT_LEASE = 10, 20, 1.0
LIFE = 600


class Server:
    """A provider that rotates refresh tokens, counts, and kills a session whose refresh token comes twice."""

    def __init__(self, delay=0.0):
        self.lock, self.delay, self.random = threading.Lock(), delay, random.Random(1)
        self.tokens, self.dead = {}, set()   # refresh token -> [family, spent]
        self.refreshes, self.replays, self.refused, self.serial = {}, {}, 0, 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = 'HTTP/1.1'
            disable_nagle_algorithm = True

            def do_POST(self):
                try:
                    body = self.rfile.read(int(self.headers.get('Content-Length', '0')))
                    status, text = outer.answer(parse_qs(body.decode('ascii')))
                    if outer.delay:
                        time.sleep(outer.random.uniform(0, outer.delay))
                    data = text.encode('ascii')
                    head = f'HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n'
                    self.wfile.write(head.encode('ascii') + data)
                except OSError:
                    self.close_connection = True

            def log_message(self, *args):
                pass

        class Quiet(ThreadingHTTPServer):
            daemon_threads, request_queue_size = True, 128

            def handle_error(self, request, client_address):
                pass  # a client that was killed

        self.http = Quiet(('127.0.0.1', 0), Handler)
        self.url = f'http://127.0.0.1:{self.http.server_address[1]}'
        threading.Thread(target=self.http.serve_forever, kwargs={'poll_interval': 0.05}, daemon=True).start()

    def login(self, family):
        """The first set of a session, as a person's login would give it."""
        with self.lock:
            return self.mint(family)

    def mint(self, family):
        self.serial += 1
        access, refresh = f'{family}-a{self.serial}', f'{family}-r{self.serial}'
        self.tokens[refresh] = [family, False]
        return access, refresh

    def answer(self, form):
        with self.lock:
            refresh = form.get('refresh_token', [''])[0]
            token = self.tokens.get(refresh)
            family = token[0] if token else '?'
            if token and token[1]:
                self.replays[family] = self.replays.get(family, 0) + 1
                self.dead.add(family)
            if not token or family in self.dead:
                self.refused += 1
                return 400, '{"error":"invalid_grant"}'
            token[1] = True
            self.refreshes[family] = self.refreshes.get(family, 0) + 1
            access, refresh = self.mint(family)
            return 200, f'{{"access_token":"{access}","token_type":"Bearer","expires_in":{LIFE},"refresh_token":"{refresh}"}}'

    def close(self):
        self.http.shutdown()
        self.http.server_close()


class Sandbox:
    """tools/sandbox-server of this run's own."""

    def __init__(self, folder):
        ready = os.path.join(folder, 'ready')
        self.process = subprocess.Popen([os.path.join(ROOT, 'tools/sandbox-server'), '--dir', os.path.join(folder, 'sandbox'), '--ready', ready],
                                        stdout=subprocess.DEVNULL)
        until = time.monotonic() + 60
        while not os.path.exists(ready):
            if self.process.poll() is not None or time.monotonic() > until:
                self.close()
                raise RuntimeError('the sandbox does not start')
            time.sleep(0.02)
        with open(ready, encoding='ascii') as file:
            self.http = dict(line.strip().split('=', 1) for line in file)['HTTP']
        self.url = self.http + '/pkb'
        self.control('credentials')

    def control(self, word, **fields):
        request = urllib.request.Request(f'{self.http}/control/{word}', json.dumps(fields).encode('ascii'), method='POST')
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60) as answer:
            return json.load(answer)

    def counts(self):
        """-> refreshes that arrived, replays"""
        found = self.control('count', operation='pkb.refresh')
        return found['count'], found['replays']

    def close(self):
        self.process.terminate()
        self.process.wait(60)


class Redis:
    """A redis of this run's own on a unix socket, with its log on disk so that it comes back with what it had."""

    def __init__(self, folder):
        self.folder, self.socket, self.process = folder, os.path.join(folder, 'redis.sock'), None
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            ['redis-server', '--port', '0', '--unixsocket', self.socket, '--dir', self.folder, '--appendonly', 'yes', '--appendfsync', 'always',
             '--save', ''], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until = time.monotonic() + 60
        while time.monotonic() < until:
            if subprocess.run(['redis-cli', '-s', self.socket, 'ping'], capture_output=True, check=False).stdout.strip() == b'PONG':
                return
            time.sleep(0.02)
        raise RuntimeError('redis does not answer')

    def stop(self):
        self.process.terminate()
        self.process.wait(60)

    def close(self):
        self.process.kill()
        self.process.wait(60)


class Worker:
    def __init__(self, runtime, kind, location, url, timeout=TIMEOUT, lease=LEASE):
        self.process = subprocess.Popen([runtime, os.path.join(ROOT, 'tools/flight_worker.lua'), kind, location, url, str(timeout), str(lease)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, bufsize=0)
        self.buffer = b''
        said = self.read()
        if said != 'ready':
            raise RuntimeError(f'a worker did not get ready: {said}')

    def send(self, line):
        self.process.stdin.write((line + '\n').encode('ascii'))

    def read(self, patience=60):
        until = time.monotonic() + patience
        while b'\n' not in self.buffer:
            left = until - time.monotonic()
            if left <= 0 or not select.select([self.process.stdout], [], [], left)[0]:
                return 'silent'
            data = os.read(self.process.stdout.fileno(), 4096)
            if not data:
                return 'gone'
            self.buffer += data
        line, self.buffer = self.buffer.split(b'\n', 1)
        return line.decode('ascii')

    def do(self, line, patience=60):
        self.send(line)
        return self.read(patience)

    def signal(self, number):
        self.process.send_signal(number)

    def stopped(self, patience=60):
        """Waits until the kernel has stopped it (SIGSTOP)."""
        until = time.monotonic() + patience
        while time.monotonic() < until:
            with open(f'/proc/{self.process.pid}/stat', encoding='ascii', errors='replace') as file:
                if file.read().rsplit(')', 1)[1].split()[0] == 'T':
                    return True
            time.sleep(0.005)
        return False

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(60)
        self.process.stdin.close()
        self.process.stdout.close()


def environment(runtime):
    """Modules of this tree, where the caller did not say which."""
    build = os.environ.get('HEALTHAUTH_BUILD') or os.path.join(ROOT, 'build')
    os.environ['LUA_PATH'] = f'{ROOT}/lua/?.lua;{ROOT}/lua/?/init.lua;{ROOT}/?.lua;;'
    os.environ['LUA_CPATH'] = f'{build}/{runtime}/?.so;;'


def fly(kind, args, folder):
    server, redis, workers = Sandbox(folder), None, []
    wrong, unsaved, slowest = [], 0, 0.0
    try:
        redis = Redis(folder) if kind == 'redis' else None
        location = redis.socket if redis else os.path.join(folder, 'tokens.db')
        lease = SHORT_LEASE if args.restart else LEASE
        workers = [Worker(args.runtime, kind, location, server.url, lease=lease) for _ in range(args.processes)]
        now = 1_700_000_000
        for w in workers:
            w.do('key person')
            w.do(f'clock {now}')
        said = workers[0].do('login')
        if said != 'ok':
            wrong.append(f'the login ended with {said}')
        for number in range(1, args.rounds + 1):
            now += 10 * LIFE
            for w in workers:
                w.do(f'clock {now}')
            began = time.monotonic()
            for w in workers:
                w.send('ask')
            if redis and args.restart and number % args.restart == 0:
                time.sleep(random.uniform(0, 0.02))
                redis.stop()
                time.sleep(0.05)
                redis.start()
            replies = [w.read() for w in workers]
            if args.restart:  # the store was away: ask until all have it again, or it is clear that nobody can
                for _ in range(100):
                    if len(set(replies)) == 1 and replies[0].startswith('token'):
                        break
                    time.sleep(0.05)
                    replies = [w.do('ask') for w in workers]
                if set(replies) == {'error refresh_outcome_unknown'}:
                    unsaved += 1
                    workers[0].do('login')
                    continue
            slowest = max(slowest, time.monotonic() - began)
            if len(set(replies)) != 1 or not replies[0].startswith('token'):
                wrong.append(f'round {number}: {sorted(set(replies))}')
        refreshes, replays = server.counts()
        if not args.restart and refreshes != args.rounds:
            wrong.append(f'{refreshes} refreshes in {args.rounds} rounds')
        if args.restart and refreshes > args.rounds:
            wrong.append(f'{refreshes} refreshes in {args.rounds} rounds')
        if replays:
            wrong.append(f'{replays} replays')
        away = f', redis restarted in every {args.restart}th, {unsaved} rounds ended as unknown' if args.restart else ''
        print(f'{kind}, {args.runtime}, against the sandbox: {args.processes} processes x {args.rounds} rounds: {refreshes} refreshes, {replays} replays, '
              f'slowest round {slowest:.2f} s{away}', flush=True)
    finally:
        for w in workers:
            w.close()
        if redis:
            redis.close()
        server.close()
    for text in wrong:
        print('  wrong: ' + text)
    return not wrong


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--rounds', type=int, default=200)
    parser.add_argument('--processes', type=int, default=8)
    parser.add_argument('--store', choices=['sqlite', 'redis', 'both'], default='both')
    parser.add_argument('--runtime', default=os.environ.get('HEALTHAUTH_RUNTIME', 'lua5.4'))
    parser.add_argument('--restart', type=int, default=0)
    args = parser.parse_args()
    environment(args.runtime)
    good = True
    for kind in ['sqlite', 'redis'] if args.store == 'both' else [args.store]:
        folder = tempfile.mkdtemp(prefix='healthauth-flight.')
        try:
            good = fly(kind, args, folder) and good
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    return 0 if good else 1


if __name__ == '__main__':
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    sys.exit(main())
