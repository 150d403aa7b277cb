#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Breaks the decision code on purpose, one small change at a time, and counts how many of the changes the specs notice.

mutate.py [--all] [--only PATTERN] [--list] [--jobs N] [--least PERCENT]

Takes every third mutant that the operators make, the same ones in every run of the same code, and every one named by hand; --all takes all.
--only takes those of them whose line in --list matches the regular expression; then no percentage is demanded. Every mutant is made in a copy of the
tree below the temporary folder, never in the tree itself; only what depends on it is built, only the specs named for its file in
test/mutate_plan.py run, and the first failure ends them. The plan also names mutants by hand, and those that change nothing, with the reason.
What did not survive, and what killed it, is in build/mutate.txt.
"""
import argparse
import collections
import concurrent.futures
import os
import queue
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import zlib

import mutate_plan as plan

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PATIENCE, TIMES = 20, 4  # a spec may take so many seconds and so many times longer than without the mutant
SHARE = 3        # one of so many, where not all are asked for
ADDRESS_SPACE = 4 << 30  # bytes; a mutant that allocates for ever ends early
CORE, CURL = 'build/lua5.4/healthauth/core.so', 'build/lua5.4/healthauth/curl.so'

Mutant = collections.namedtuple('Mutant', 'file line function operator start end text shown')


# ---- making them ----

def masked(text, lua):
    """The text with comments and what is between quotes blanked, of the same length."""
    pattern = (r'--\[\[.*?\]\]|--[^\n]*|\[\[.*?\]\]|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'' if lua
               else r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'|^#[^\n]*')

    def blank(found):
        return re.sub(r'[^\n]', '\x01', found[0])
    return re.sub(pattern, blank, text, flags=re.S | re.M)


def functions(code, lua):
    """(name, start, end) of every function that begins in the first column."""
    head = (r'^(?:local )?function ([\w.:]+)\(.*?^end$' if lua
            else r'^[a-zA-Z_][^;{}=()]*?\b(\w+)\((?:[^;{}]*)\) \{(?:[^\n]*\}$|.*?^\}$)')
    return [(m[1], m.start(), m.end()) for m in re.finditer(head, code, re.S | re.M)]


def conditions(code, start, end, lua):
    """(start, end) of the condition of every if that ends on its line."""
    for m in re.compile(r'\b(?:else)?if (.+?) then\b' if lua else r'\bif \(').finditer(code, start, end):
        if lua:
            yield m.start(1), m.end(1)
            continue
        depth, at = 1, m.end()
        while depth and at < end and code[at] != '\n':
            depth += {'(': 1, ')': -1}.get(code[at], 0)
            at += 1
        if depth == 0:
            yield m.end(), at - 1


FLIPS = {'==': '!=', '!=': '==', '~=': '==', '<': '<=', '<=': '<', '>': '>=', '>=': '>', '&&': '||', '||': '&&', 'and': 'or', 'or': 'and',
         'true': 'false', 'false': 'true'}
TOKENS_C = re.compile(r'(?<![<>=!\-])(?:==|!=|<=|>=|<|>)(?![<>=])|&&|\|\||\btrue\b|\bfalse\b')
TOKENS_LUA = re.compile(r'(?<![<>=~])(?:==|~=|<=|>=|<|>)(?!=)|\band\b|\bor\b|\btrue\b|\bfalse\b')
# Whole statements on a line of their own: an assignment, or a call. What frees, wipes, or only moves Lua's stack is no decision.
STATEMENT_C = re.compile(r'^[ \t]+((?:\*?[\w>.\[\]-]+ (?:[-+|]?=) [^;\n]*|\*?[\w>.\[\]-]+\+\+|\(void\)\w+\([^;\n]*\)|\w+\([^;\n]*\));)$', re.M)
STATEMENT_LUA = re.compile(r'^[ \t]+((?:[\w.\[\]]+(?:, [\w.\[\]]+)* = [^\n]*|[\w.:]+\([^\n]*\)|[\w.:]+ (?:"[^"\n]*"|\{[^\n]*\})))$', re.M)
NO_DECISION = re.compile(r'(?:\(void\))?(?:lua_|luaL_|\w*(?:_free|_clear|_wipe|_init|_hold|_release)\(|ha_free|lha_tokens_clear|lha_pushnumber|curl_\w*free|'
                         r'mem(?:set|cpy)|snprintf|error\(|return\b|pcall\(error|end\b)')


def generate(path, only, without=()):
    with open(os.path.join(ROOT, path), encoding='utf-8') as f:
        text = f.read()
    lua = path.endswith('.lua')
    code = masked(text, lua)
    out = []

    def add(function, operator, start, end, new):
        if re.search(r'NOMEM|NO_MEMORY|not enough memory', text[text.rfind('\n', 0, start) + 1:text.find('\n', end)]):
            return  # where memory ends, test/c/sweep.c looks
        line = text.count('\n', 0, start) + 1
        whole = text.rfind('\n', 0, start) + 1
        stop = text.find('\n', end)
        shown = text[start:end] if operator == 'drop' else (text[whole:start] + new + text[end:stop]).strip()
        out.append(Mutant(path, line, function, operator, start, end, new, shown))

    loops = [m.span() for m in re.finditer(r'^[ \t]*for \([^\n]*\)', code, re.M)]  # an index that runs off its end is the sanitizers' affair
    for name, start, end in functions(code, lua):
        if (only is not None and name not in only) or name in without:
            continue
        for m in (TOKENS_LUA if lua else TOKENS_C).finditer(code, start, end):
            if any(a <= m.start() < b for a, b in loops):
                continue
            new = FLIPS[m[0]]
            if lua and new == '!=':
                new = '~='
            add(name, {'&': 'logic', '|': 'logic', 'a': 'logic', 'o': 'logic', 't': 'bool', 'f': 'bool'}.get(m[0][0], 'compare'), m.start(), m.end(), new)
        for a, b in conditions(code, start, end, lua):
            condition = text[a:b]
            add(name, 'never', a, b, f'false and ({condition})' if lua else f'0 && ({condition})')
        if lua:
            for m in re.compile(r'\breturn (not )').finditer(code, start, end):
                add(name, 'negate', m.start(1), m.end(1), '')
        for m in (STATEMENT_LUA if lua else STATEMENT_C).finditer(code, start, end):
            if not NO_DECISION.match(m[1]) and not re.match(r'local\b', m[1]):
                add(name, 'drop', m.start(1), m.end(1), '' if lua else ';')
    return sorted(out, key=lambda m: (m.start, m.operator))


stale = []  # what the plan names and the code has no more


def by_hand():
    for path, *pairs in plan.BY_HAND:
        with open(os.path.join(ROOT, path), encoding='utf-8') as f:
            text = f.read()
        new = text
        for was, becomes in zip(pairs[::2], pairs[1::2]):
            if new.count(was) != 1:
                stale.append(f'{path} holds {new.count(was)} times: {was}')
            new = new.replace(was, becomes)
        if new == text:
            continue
        start = len(os.path.commonprefix([text, new]))
        same = len(os.path.commonprefix([text[start:][::-1], new[start:][::-1]]))
        shown = ' and '.join(f'{was.strip()} => {becomes.strip()}' for was, becomes in zip(pairs[::2], pairs[1::2]))
        yield Mutant(path, text.count('\n', 0, start) + 1, '', 'by hand', start, len(text) - same, new[start:len(new) - same],
                     re.sub(r'\s+', ' ', shown))


def all_mutants():
    """Every mutant, those that change nothing taken out: (mutants, how many those are)."""
    found = []
    for path, part in plan.FILES.items():
        found += generate(path, part.get('functions'), part.get('without', ()))
    found += by_hand()
    unmet = dict.fromkeys(plan.EQUIVALENT)
    kept = []
    for m in found:
        entries = [e for e in plan.EQUIVALENT if e[:2] == (m.file, m.shown) and (len(e) < 4 or e[3] == m.function)]
        for entry in entries:
            unmet.pop(entry, None)
        if not entries:
            kept.append(m)
    stale.extend(f'no such mutant: {entry[0]}: {entry[1]}' for entry in unmet)
    order = {path: i for i, path in enumerate(plan.FILES)}
    return sorted(kept, key=lambda m: (order[m.file], m.start)), len(found) - len(kept)


def label(m):
    return f'{m.file}:{m.line} {m.operator}{" in " + m.function if m.function else ""}: {m.shown}'


def in_sample(m):
    """Chosen by what it is, not where it stands: code that is added elsewhere does not change the choice."""
    return m.operator == 'by hand' or zlib.crc32(f'{m.file} {m.operator} {m.function} {m.shown}'.encode()) % SHARE == 0


# ---- trying them ----

def limit():
    import resource
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def run(folder, command, seconds, address_space=False):
    """(exit status or None, the end of what it said); None: it took longer. Nothing that it started outlives it."""
    words = ['nice', '-n', '5', 'python3', 'tools/alone.py', str(int(seconds)), *command]
    if address_space:
        words = ['bash', '-c', f'ulimit -v {ADDRESS_SPACE >> 10}; exec "$@"', 'bash', *words]
    child = subprocess.Popen(words, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, preexec_fn=limit)
    with lock:
        alive.add(child)
    try:
        said = child.communicate(timeout=seconds + 30)[0].decode('utf-8', 'replace')
    finally:
        with lock:
            alive.discard(child)
    return (None if child.returncode == 124 else child.returncode), said[-3000:]


lock = threading.Lock()
alive = set()


def command_of(test):
    kind, *words = test
    if kind == 'unit':
        return ['tools/unit.sh', 'build/asan', *words], False
    return ['tools/spec.sh', 'lua5.4', 'build', '--no-keep-going', *words], not any('nginx' in w for w in words)


class Copy:
    """A copy of the tree to work in."""

    def __init__(self, folder):
        self.folder, self.touched = folder, None

    def make(self, *words):
        return run(self.folder, ['make', '-s', '--no-print-directory', *words, 'HARDEN=', 'CFLAGS=-O0 -w'], 300)

    def settle(self):
        """All modules as they are without a mutant."""
        if self.touched:
            rc, said = self.make('build/lua5.4/healthauth/core.so', CURL)
            if rc != 0:
                raise SystemExit('the tree does not build again:\n' + said)
            self.touched = None

    def attempt(self, m, times):
        """What becomes of a mutant: ('killed', by what) | ('survived', '') | ('unbuilt', '')."""
        path = os.path.join(self.folder, m.file)
        with open(path, encoding='utf-8') as f:
            original = f.read()
        if self.touched not in (None, m.file):
            self.settle()
        try:
            with open(path, 'w', encoding='utf-8') as f:
                f.write(original[:m.start] + m.text + original[m.end:])
            if m.file.endswith('.c'):
                self.touched = m.file
                if any(kind != 'unit' for kind, *_ in plan.FILES[m.file]['tests']):
                    rc, _ = self.make(CURL if '/curl' in m.file else CORE)
                    if rc != 0:
                        return 'unbuilt', ''
            for test in plan.FILES[m.file]['tests']:
                command, bounded = command_of(test)
                rc, said = run(self.folder, command, max(PATIENCE, PATIENCE + TIMES * times[test]), bounded)
                if rc is None:
                    return 'killed', f'{" ".join(test)} (it takes too long)'
                if rc != 0 and test[0] == 'unit' and re.search(r'do(?:es)? not build', said):
                    return 'unbuilt', ''
                if rc != 0:
                    first = re.search(r'^(?:Failure|Error) -> [^\n]*\n([^\n]*)', said, re.M)
                    return 'killed', f'{" ".join(test)}: {first[1] if first else said.strip().splitlines()[-1][:100] if said.strip() else rc}'
            return 'survived', ''
        finally:
            with open(path, 'w', encoding='utf-8') as f:
                f.write(original)


def prepare(base, jobs):
    """Copies of the tree, built. Warnings are no errors there: a mutant may leave a name unused."""
    first = os.path.join(base, '1')
    skip = shutil.ignore_patterns('.git', 'fuzz', 'cov', 'log', 'sweep')
    shutil.copytree(ROOT, first, symlinks=True, ignore=lambda d, names: skip(d, names) if d in (ROOT, ROOT + '/build') else set())
    for name in ('Makefile', 'tools/unit.sh'):
        path = os.path.join(first, name)
        stat = os.stat(path)
        with open(path, encoding='utf-8') as f:
            text = f.read()
        with open(path, 'w', encoding='utf-8') as f:
            f.write(text.replace(' -Werror', ' -w'))
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    copies = [Copy(first)]
    rc, said = run(first, ['make', '-s', '--no-print-directory', '-j2', 'all', 'build-asan'], 600)
    if rc != 0:
        raise SystemExit('the tree does not build:\n' + said)
    for i in range(2, jobs + 1):
        folder = os.path.join(base, str(i))
        subprocess.run(['cp', '-a', first, folder], check=True)
        copies.append(Copy(folder))
    return copies


def side_by_side(copies, work, do):
    """do(copy, one) for each piece of work, each copy one at a time; results in order."""
    free = queue.Queue()
    for copy in copies:
        free.put(copy)

    def one(piece):
        copy = free.get()
        try:
            return do(copy, piece)
        finally:
            free.put(copy)
    with concurrent.futures.ThreadPoolExecutor(len(copies)) as pool:
        yield from pool.map(one, work)


def without_mutants(copies, mutants):
    """Seconds that each needed spec takes as it is; one that fails now could prove nothing."""
    tests = sorted({test for m in mutants for test in plan.FILES[m.file]['tests']})
    times = {}

    def measure(copy, test):
        command, bounded = command_of(test)
        started = time.monotonic()
        rc, said = run(copy.folder, command, 300, bounded)
        return rc, said, time.monotonic() - started
    for test, (rc, said, took) in zip(tests, side_by_side(copies, tests, measure)):
        if rc != 0:
            raise SystemExit(f'without any mutant, {" ".join(test)} fails:\n{said}')
        times[test] = took
    return times


def outdated():
    for entry in stale:
        print(f'test/mutate_plan.py: {entry}')
    return 1 if stale else 0


def main():
    parser = argparse.ArgumentParser(description='Counts the mutants of the decision code that the specs kill.')
    parser.add_argument('--all', action='store_true', help='all mutants, not a share of them')
    parser.add_argument('--only', metavar='PATTERN', help='mutants whose line in --list matches')
    parser.add_argument('--list', action='store_true', help='shows the mutants and tries none')
    parser.add_argument('--jobs', type=int, default=2, help='how many at the same time')
    parser.add_argument('--least', type=float, default=90, help='percent that must be killed')
    given = parser.parse_args()
    mutants, equivalent = all_mutants()
    if not given.all:
        mutants = [m for m in mutants if in_sample(m)]
    if given.only:
        mutants = [m for m in mutants if re.search(given.only, label(m))]
    if given.list:
        for m in mutants:
            print(label(m))
        print(f'{len(mutants)} mutants, {equivalent} left out because they change nothing')
        return outdated()
    if not mutants:
        print('no such mutant')
        return 1
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    started = time.monotonic()
    base = tempfile.mkdtemp(prefix='healthauth-mutate-')
    tally = collections.defaultdict(collections.Counter)
    survivors = []
    try:
        copies = prepare(base, max(1, given.jobs))
        times = without_mutants(copies, mutants)
        print(f'{len(mutants)} mutants; the specs pass without any ({time.monotonic() - started:.0f} s)', flush=True)
        os.makedirs(os.path.join(ROOT, 'build'), exist_ok=True)
        with open(os.path.join(ROOT, 'build/mutate.txt'), 'w', encoding='utf-8') as report:
            for m, (end, why) in zip(mutants, side_by_side(copies, mutants, lambda copy, m: copy.attempt(m, times))):
                tally[m.file][end] += 1
                print(f'{end:9} {label(m)}{"  <- " + why if why else ""}', file=report, flush=True)
                if end == 'survived':
                    survivors.append(m)
                    print(f'survived  {label(m)}', flush=True)
    finally:
        with lock:
            for child in alive:
                child.terminate()
        shutil.rmtree(base, ignore_errors=True)
    total = collections.Counter()
    for path, counts in tally.items():
        total.update(counts)
        print(f'{path}: {counts["killed"]} of {counts["killed"] + counts["survived"]} killed')
    tried = total['killed'] + total['survived']
    percent = 100 * total['killed'] / tried if tried else 0
    print(f'{tried} mutants tried, {total["killed"]} killed ({percent:.1f} %), {len(survivors)} survived; {total["unbuilt"]} do not build, '
          f'{equivalent} left out because they change nothing; {time.monotonic() - started:.0f} s')
    return max(outdated(), 0 if given.only or percent >= given.least else 1)


sys.exit(main())
