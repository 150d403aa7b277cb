#!/usr/bin/env bash
# Lines and branches of src/ reached by the specs (both runtimes) and the C unit tests; fails below MIN per cent of the lines (90 unless told).
# Read by `gcov --json-format` and summed over every object of a source: a file is built once for each runtime.
set -u
cd "$(dirname "$0")/.." || exit 2
. tools/common.sh
build=build/cov; minimum=${MIN:-90}; mkdir -p build/log
make --no-print-directory build-cov >build/log/cov-build.log 2>&1 || { tail -n 20 build/log/cov-build.log; exit 1; }
find $build -name '*.gcda' -delete

tools/spec.sh lua5.4 $build >build/log/cov-lua5.4.log 2>&1 & first=$!
tools/spec.sh luajit $build >build/log/cov-luajit.log 2>&1 & second=$!
wait $first; first=$?; wait $second; second=$?
tools/unit.sh $build >build/log/cov-unit.log 2>&1; third=$?
add lua5.4 $first build/log/cov-lua5.4.log || tail -n 20 build/log/cov-lua5.4.log
add luajit $second build/log/cov-luajit.log || tail -n 20 build/log/cov-luajit.log
add unit $third build/log/cov-unit.log || tail -n 20 build/log/cov-unit.log
total

python3 - "$build" "$minimum" <<'PY'
import collections, gzip, json, os, subprocess, sys, tempfile
build, minimum = os.path.abspath(sys.argv[1]), float(sys.argv[2])
root = os.getcwd()
notes = [os.path.join(d, f) for d, _, files in os.walk(build + '/obj') for f in files if f.endswith('.gcno')]
lines = collections.defaultdict(lambda: collections.defaultdict(int))
branches = collections.defaultdict(lambda: collections.defaultdict(int))
with tempfile.TemporaryDirectory() as work:
    for note in notes:
        answer = subprocess.run(['gcov', '--json-format', '--branch-probabilities', '--stdout', note], cwd=root, capture_output=True, text=True, check=True)
        for text in answer.stdout.splitlines():
            if not text.startswith('{'):
                continue
            for file in json.loads(text)['files']:
                name = os.path.relpath(os.path.join(root, file['file']), root)
                if not name.startswith('src/'):
                    continue
                for line in file['lines']:
                    lines[name][line['line_number']] += line['count']
                    for i, branch in enumerate(b for b in line['branches'] if not b['throw']):
                        branches[name][line['line_number'], i] += branch['count']
print('%-34s %16s %20s  %s' % ('file', 'lines', 'branches', 'lines not reached'))

def share(counts):
    return sum(1 for c in counts if c), len(counts)

def ranges(numbers):
    out = []
    for n in sorted(numbers):
        if out and n == out[-1][1] + 1:
            out[-1][1] = n
        else:
            out.append([n, n])
    return ' '.join('%d' % a if a == b else '%d-%d' % (a, b) for a, b in out)

total = [0, 0, 0, 0]
for name in sorted(lines):
    hit, all_lines = share(lines[name].values())
    taken, all_branches = share(branches[name].values())
    total = [a + b for a, b in zip(total, (hit, all_lines, taken, all_branches))]
    missed = ranges(n for n, c in lines[name].items() if not c)
    print('%-34s %4d/%4d %5.1f %% %6d/%5d %5.1f %%  %s' % (name, hit, all_lines, 100 * hit / max(all_lines, 1), taken, all_branches,
                                                         100 * taken / max(all_branches, 1), missed))
percent = 100 * total[0] / max(total[1], 1)
print('%-34s %4d/%4d %5.1f %% %6d/%5d %5.1f %%' % ('total', total[0], total[1], percent, total[2], total[3], 100 * total[2] / max(total[3], 1)))
if percent < minimum:
    print('below %g %% of the lines' % minimum)
    sys.exit(1)
PY
[ $? -eq 0 ] && [ "$failed" -eq 0 ]
