#!/usr/bin/env python3
"""coverage.py BUILD MIN_LINES MIN_BRANCHES: what the counters under BUILD say about src/, by gcov.

A branch is an edge of a condition as gcc makes it without optimization: each operand of && and ||, each arm of ?: and each case counts.
A source that is built more than once (ring 2, for each runtime) is summed; where a macro of Lua's headers has another number of branches
in one of them, these count as branches of their own. Prints a table and writes each miss with its source line to BUILD/missed.txt.
"""
import collections
import json
import os
import subprocess
import sys

build, least_lines, least_branches = os.path.abspath(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])
root = os.getcwd()
lines = collections.defaultdict(lambda: collections.defaultdict(int))
branches = collections.defaultdict(lambda: collections.defaultdict(int))


def read(note):
    answer = subprocess.run(['gcov', '--json-format', '--branch-probabilities', '--stdout', note], cwd=root, capture_output=True, text=True,
                            check=True)
    for text in filter(lambda t: t.startswith('{'), answer.stdout.splitlines()):
        for file in json.loads(text)['files']:
            name = os.path.relpath(os.path.join(root, file['file']), root)
            if not name.startswith('src/'):
                continue
            for line in file['lines']:
                number, edges = line['line_number'], line['branches']
                lines[name][number] += line['count']
                for i, edge in enumerate(edges):
                    branches[name][number, len(edges), i] += edge['count']


def share(counts):
    return sum(1 for c in counts if c), len(counts)


def percent(part, whole):
    return 100 * part / max(whole, 1)


def ranges(numbers):
    out = []
    for n in sorted(numbers):
        if out and n == out[-1][1] + 1:
            out[-1][1] = n
        else:
            out.append([n, n])
    return ' '.join('%d' % a if a == b else '%d-%d' % (a, b) for a, b in out)


def misses(name):
    """A line of text for each source line with an edge or the whole of it not reached."""
    with open(os.path.join(root, name), encoding='utf-8') as file:
        source = file.read().split('\n')
    per = collections.defaultdict(list)
    for (number, width, i), count in sorted(branches[name].items()):
        if not count:
            per[number].append('%d of %d' % (i, width))
    for number in sorted(set(per) | {n for n, c in lines[name].items() if not c}):
        yield '%s:%d: %s: %s' % (name, number, ', '.join(per[number]) or 'the line', source[number - 1].strip())


for folder, _, files in os.walk(build + '/obj'):
    for note in sorted(files):
        if note.endswith('.gcno'):
            read(os.path.join(folder, note))

form = '%-34s %5d/%5d %5.1f %% %6d/%5d %5.1f %%  %s'
print('%-34s %19s %20s  %s' % ('file', 'lines', 'branches', 'lines not reached'))
total = [0, 0, 0, 0]
with open(build + '/missed.txt', 'w', encoding='utf-8') as missed:
    for name in sorted(lines):
        row = share(lines[name].values()) + share(branches[name].values())
        total = [a + b for a, b in zip(total, row)]
        print(form % (name, row[0], row[1], percent(*row[:2]), row[2], row[3], percent(*row[2:]),
                      ranges(n for n, c in lines[name].items() if not c)))
        missed.writelines(line + '\n' for line in misses(name))
print((form % ('total', total[0], total[1], percent(*total[:2]), total[2], total[3], percent(*total[2:]), '')).rstrip())
short = [what for what, got, least in (('lines', percent(*total[:2]), least_lines), ('branches', percent(*total[2:]), least_branches)) if got < least]
if short:
    print('below the %g %% of the lines and %g %% of the branches that are asked: %s' % (least_lines, least_branches, ', '.join(short)))
sys.exit(1 if short else 0)
