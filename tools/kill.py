#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The holder of the lease dies, or is stopped and goes on later: kill.py [--runs N] [--store sqlite|redis|both] [--runtime VM] [--stops]

Kill: a process refreshes and is killed with SIGKILL at a random moment; another asks. Every run must end in one of three named cases:
  not_sent  nothing had left: the other one refreshes            answered  the new set was saved: the other one has it, without a request
  unknown   "sent" was written, nobody knows the end: the other one says refresh_outcome_unknown and sends nothing
within the lease's life, with a whole record, and no refresh token seen twice.
--stops: the holder is stopped (SIGSTOP) at each point of a refresh until its lease is over and another has asked, or has logged in anew; then
it goes on (SIGCONT). It must not send a second time, and not overwrite what is newer.
"""
import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import threading
import time

import flight

# Whoever waits for a dead holder waits for its lease, and not for max_wait, which is 20 leases. SLACK is a busy machine's.
TIMEOUT, LEASE, SLACK = 10, 0.5, 8.5
POINTS = ['acquired', 'before_sent', 'sent', 'answered', 'saved']


class Bench:
    """The provider and the store that all runs share."""

    def __init__(self, kind, runtime, folder):
        self.kind, self.runtime = kind, runtime
        self.server = flight.Server(delay=0.01)
        self.redis = flight.Redis(folder) if kind == 'redis' else None
        self.location = self.redis.socket if self.redis else os.path.join(folder, 'tokens.db')

    def worker(self):
        return flight.Worker(self.runtime, self.kind, self.location, self.server.url, TIMEOUT, LEASE)

    def close(self):
        self.server.close()
        if self.redis:
            self.redis.close()


def expired_session(bench, survivor, victim, family):
    """Both know the session, its token has expired."""
    access, refresh = bench.server.login(family)
    now = 1_700_000_000
    for w in (survivor, victim):
        w.do(f'clock {now}')
        w.do(f'key {family}')
    if survivor.do(f'seed {access} {refresh} {now + 600}') != 'ok' or not victim.do('ask').startswith('token'):
        raise RuntimeError('the session could not be prepared')
    for w in (survivor, victim):
        w.do(f'clock {now + 6000}')
    return access, refresh


def kill_run(bench, survivor, family, most):
    """-> the case's name, or what is wrong."""
    victim = bench.worker()
    try:
        access, refresh = expired_session(bench, survivor, victim, family)
        victim.send('ask')
        time.sleep(random.uniform(0, most))
        victim.signal(signal.SIGKILL)
        victim.process.wait(60)
        time.sleep(0.02)  # what it had sent arrives
        before = bench.server.refreshes.get(family, 0)
        began = time.monotonic()
        reply = survivor.do('ask')
        took = time.monotonic() - began
        after = bench.server.refreshes.get(family, 0)
        record = survivor.do('stored').split(' ')
    finally:
        victim.close()
    if took > LEASE + SLACK:
        return f'waited {took:.2f} s'
    if record[0] != 'record':
        return f'record: {record}'
    if after > 1 or bench.server.replays.get(family):
        return f'{after} refreshes, {bench.server.replays.get(family)} replays'
    if reply == 'error refresh_outcome_unknown' and record[1:] == [access, refresh, 'sent']:
        return 'unknown'  # a second POST would have been a replay
    if reply == 'token ' + record[1] and record[3] == 'clean' and record[2] != refresh:
        if before == 0 and after == 1:
            return 'not_sent'
        if before == 1 and after == 1:
            return 'answered'
    return f'none of the three cases: {reply}, {before} and {after} refreshes, {record}'


def together(run, count):
    threads = [threading.Thread(target=run) for _ in range(count)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()


def kills(bench, runs):
    lock, cases, wrong, numbers = threading.Lock(), {'not_sent': 0, 'answered': 0, 'unknown': 0}, [], iter(range(runs))
    probe, other = bench.worker(), bench.worker()
    spans = []
    for i in range(5):  # how long a refresh takes here
        expired_session(bench, other, probe, f'probe{i}')
        began = time.monotonic()
        probe.do('ask')
        spans.append(time.monotonic() - began)
    probe.close()
    other.close()
    most = 1.8 * sorted(spans)[2]

    def run():
        survivor = bench.worker()
        try:
            while True:
                with lock:
                    number = next(numbers, None)
                if number is None:
                    return
                found = kill_run(bench, survivor, f'k{number}', most)
                with lock:
                    if found in cases:
                        cases[found] += 1
                    else:
                        wrong.append(f'run {number}: {found}')
        except Exception as error:  # a thread's failure is this program's
            with lock:
                wrong.append(repr(error))
        finally:
            survivor.close()

    together(run, 4)
    if sum(cases.values()) + len(wrong) < runs:
        wrong.append('runs are missing')
    print(f'{bench.kind}, {bench.runtime}: {runs} holders killed: {cases["not_sent"]} not_sent, {cases["answered"]} answered, '
          f'{cases["unknown"]} unknown, {len(wrong)} wrong', flush=True)
    return wrong


def stop_run(bench, point, login):
    """A holder stopped at a point. -> what is wrong, or nothing."""
    family = f'stop-{point}-{login}'
    survivor, victim = bench.worker(), bench.worker()
    try:
        expired_session(bench, survivor, victim, family)
        victim.do(f'stop {point}')
        victim.send('ask')
        said = victim.read()
        if said != 'stopping' or not victim.stopped():
            return f'was not stopped: {said}'
        time.sleep(LEASE + 0.2)
        if login:
            access, refresh = bench.server.login(family)
            newest = [access, refresh, 'clean']
            if survivor.do(f'seed {access} {refresh} {1_700_009_000}') != 'ok':
                return 'the login could not be saved'
        else:
            reply = survivor.do('ask')
            lost = point in ('sent', 'answered')
            if reply.startswith('token') == lost or (lost and reply != 'error refresh_outcome_unknown'):
                return f'the other one got {reply}'
        sent = bench.server.refreshes.get(family, 0)
        victim.signal(signal.SIGCONT)
        reply = victim.read()
        record = survivor.do('stored').split(' ')[1:]
        if not reply.startswith('token'):
            return f'it got {reply} when it went on'
        if bench.server.replays.get(family) or bench.server.refused:
            return 'a refresh token was seen twice'
        if bench.server.refreshes.get(family, 0) - sent > (1 if point == 'sent' else 0):
            return 'it sent a second time'
        if login and record != newest:
            return f'the login was overwritten: {record}'
        final = [survivor.do('ask'), victim.do('ask')]
        if login and point == 'saved':
            final[1] = final[0]  # it had saved before the login, and keeps its token until that must be renewed
        if final != ['token ' + record[0]] * 2 or record[2] != 'clean':
            return f'they end with {final}, the store has {record}'
        return None
    finally:
        survivor.close()
        victim.signal(signal.SIGCONT)
        victim.close()


def stops(bench):
    lock, wrong, todo = threading.Lock(), [], iter([(point, login) for point in POINTS for login in (False, True)])

    def run():
        while True:
            with lock:
                point, login = next(todo, (None, None))
            if point is None:
                return
            try:
                found = stop_run(bench, point, login)
            except Exception as error:  # a thread's failure is this program's
                found = repr(error)
            if found:
                with lock:
                    wrong.append(f'{point}{", new login" if login else ""}: {found}')

    together(run, 5)
    print(f'{bench.kind}, {bench.runtime}: {2 * len(POINTS)} holders stopped past their lease and continued: {len(wrong)} wrong', flush=True)
    return wrong


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--runs', type=int, default=300)
    parser.add_argument('--store', choices=['sqlite', 'redis', 'both'], default='both')
    parser.add_argument('--runtime', default=os.environ.get('HEALTHAUTH_RUNTIME', 'lua5.4'))
    parser.add_argument('--stops', action='store_true')
    args = parser.parse_args()
    flight.environment(args.runtime)
    wrong = []
    for kind in ['sqlite', 'redis'] if args.store == 'both' else [args.store]:
        folder = tempfile.mkdtemp(prefix='healthauth-kill.')
        bench = Bench(kind, args.runtime, folder)
        try:
            wrong += stops(bench) if args.stops else kills(bench, args.runs)
        finally:
            bench.close()
            shutil.rmtree(folder, ignore_errors=True)
    for text in wrong:
        print('  wrong: ' + text)
    return 1 if wrong else 0


if __name__ == '__main__':
    sys.exit(main())
