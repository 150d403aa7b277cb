#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs a command and sees that nothing stays behind: alone.py SECONDS COMMAND...

Every descendant that outlives the command, also one that became a daemon, is named, ended, and makes the run fail. So does a command
that takes longer than SECONDS. Otherwise the exit status is the command's.
"""
import ctypes
import os
import signal
import subprocess
import sys
import time

PR_SET_CHILD_SUBREAPER = 36
GRACE = 20.0  # for a child that was told to stop and is still at it, on a busy machine


def children(pid):
    found = []
    try:
        for task in os.listdir(f'/proc/{pid}/task'):
            with open(f'/proc/{pid}/task/{task}/children') as f:
                found += [int(word) for word in f.read().split()]
    except OSError:
        pass
    return found


def descendants(pid):
    found = []
    for child in children(pid):
        found += [child] + descendants(child)
    return found


def name(pid):
    try:
        with open(f'/proc/{pid}/cmdline', 'rb') as f:
            return f.read().replace(b'\0', b' ').decode(errors='replace').strip()[:200] or '(gone)'
    except OSError:
        return '(gone)'


def reap():
    """Collects what has ended; true when no child is left."""
    try:
        while True:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                return False
    except ChildProcessError:
        return True


def end_all(how):
    for pid in descendants(os.getpid()):
        try:
            os.kill(pid, how)
        except ProcessLookupError:
            pass


def finish():
    for how in (signal.SIGTERM, signal.SIGKILL):
        until = time.monotonic() + 2
        while not reap() and time.monotonic() < until:
            end_all(how)
            time.sleep(0.05)


def main():
    limit, command = float(sys.argv[1]), sys.argv[2:]
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda n, _: (finish(), os._exit(128 + n)))
    child = subprocess.Popen(command)
    try:
        status = child.wait(limit)
    except subprocess.TimeoutExpired:
        print(f'stopped after {limit:.0f} s; running: ' + '; '.join(name(pid) for pid in descendants(os.getpid())), flush=True)
        finish()
        return 124
    until = time.monotonic() + GRACE
    while not reap():
        if time.monotonic() > until:
            for pid in descendants(os.getpid()):
                print(f'left behind: {pid} {name(pid)}', flush=True)
            finish()
            return status or 3
        time.sleep(0.02)
    return status if status >= 0 else 128 - status


sys.exit(main())
