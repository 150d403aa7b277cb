#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What a gateway must keep to for months: nginx_soak.py [--requests N]

- luacheck with nginx's globals finds nothing in the files that nginx runs, and no file writes a global: nothing is new in _G afterwards, and
  nginx itself, which warns of such a write, has nothing to say.
- One worker answers 100,000 requests of all sorts (guard with known, unknown and missing tokens; bearer with refreshes; logins that are begun,
  callbacks of nobody; status and metrics); its own memory, Lua's heap and its open files are what they were after the first tenth. Twice: first
  without LuaJIT's compiler, where Lua's heap must be flat to some KiB, then with it, whose traces go on growing a little for a while.
- A short run of the same under valgrind: no error, nothing lost.
"""
import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

from gateway import ROOT, Site

CONNECTIONS, SLICE_SECONDS, WARM = 16, 1, 0.1
# KiB that own memory and Lua's heap may move, by whether LuaJIT compiles.
GROWTH = {False: (1024, 16), True: (2048, 256)}
MIX = '''
local count, known, cookie = 0, os.getenv "TOKEN", os.getenv "COOKIE"
local name = "Conneqt-Instant-Access-Token"
local kinds = {
  function() return wrk.format("GET", "/api", { [name] = known }) end,
  function() return wrk.format("GET", "/app", { Cookie = cookie }) end,
  function() return wrk.format("GET", "/api", { [name] = ("%s-%09d"):format(os.getenv "RUN", count) }) end,
  function() return wrk.format("GET", "/app", { Cookie = cookie, Authorization = "Bearer forged" }) end,
  function() return wrk.format("GET", "/api") end,
  function() return wrk.format("GET", "/login?return_to=/app%3Fn=" .. count) end,
  function() return wrk.format("GET", "/callback?code=x&state=" .. count) end,
  function() return wrk.format("GET", count % 100 == 7 and "/status" or "/api", { [name] = known }) end,
  function() return wrk.format("GET", count % 100 == 8 and "/metrics" or "/app", { Cookie = "__Host-ha_session=forged" }) end,
}
request = function()
  count = count + 1
  return kinds[count % #kinds + 1]()
end
'''

NGINX_OWN = '{\n nginx keeps its environment\n Memcheck:Leak\n match-leak-kinds: definite\n ...\n fun:ngx_set_environment\n}\n'


class Result:
    passed = failed = 0

    def say(self, what, fine):
        self.passed, self.failed = self.passed + bool(fine), self.failed + (not fine)
        print(('ok      ' if fine else 'FAILED  ') + what, flush=True)


def check_globals(result):
    files = subprocess.run("git ls-files '*.lua' | xargs grep -lE '\\bngx\\.'", shell=True, cwd=ROOT, text=True, stdout=subprocess.PIPE).stdout.split()
    code = [name for name in files if name.startswith('lua/')]
    run = subprocess.run(['luacheck', '-q', '--no-color', '--std', 'ngx_lua', *code], cwd=ROOT, text=True, stdout=subprocess.PIPE)
    result.say(f"luacheck, nginx's globals: {run.stdout.strip().splitlines()[-1]}", run.returncode == 0 and len(code) > 15)


def worker(site):
    return int(subprocess.run(['pgrep', '-P', str(site.nginx.pid)], text=True, stdout=subprocess.PIPE).stdout.split()[0])


def sizes(site, pid):
    """The worker's own memory and Lua's heap after a collection, in KiB; open files."""
    heap = float(site.get('/heap')[1])
    with open(f'/proc/{pid}/status', encoding='ascii') as file:
        own = int(re.search(r'RssAnon:\s+(\d+)', file.read()).group(1))
    return own, heap, len(os.listdir(f'/proc/{pid}/fd'))


def slice_of(site, mix, env, run):
    out = subprocess.run(['wrk', '-t', '1', '-c', str(CONNECTIONS), '-d', f'{SLICE_SECONDS}s', '-s', mix, site.url], text=True,
                         env=dict(env, RUN=f'run{run}'), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=True).stdout
    if 'Socket errors' in out:
        raise RuntimeError(out)
    return int(re.search(r'(\d+) requests in', out).group(1))


def soak(result, folder, wanted, compiles):
    print(f"        LuaJIT's compiler is {'on' if compiles else 'off'}")
    site = Site(folder, master='worker_processes 1;', init='' if compiles else 'require("jit").off()')
    try:
        env = dict(os.environ, TOKEN=site.token(), COOKIE=site.person())
        mix, pid = f'{folder}/mix.lua', worker(site)
        with open(mix, 'w', encoding='ascii') as file:
            file.write(MIX)
        done, run, seen = 0, 0, []
        while done < wanted:
            run += 1
            site.get(f'/skew?by={run * 1000}')  # the access token's life: each slice begins with a refresh
            done += slice_of(site, mix, env, run)
            time.sleep(0.3)
            seen.append((done, *sizes(site, pid)))
            print('        %7d requests: %d KiB own memory, %.0f KiB of Lua, %d files' % seen[-1], flush=True)
        result.say('the same worker answered all the while', worker(site) == pid)
        late = [one for one in seen if one[0] >= wanted * WARM]
        first, last = late[0], late[-1]
        for n, what in ((1, 'own memory'), (2, "Lua's heap")):
            # Both ends by the least of some looks: the collector and malloc let pages go when they like.
            start, end = min(one[n] for one in late[:3]), min(one[n] for one in late[-3:])
            fine = end - start <= GROWTH[compiles][n - 1] and len(late) >= 4
            result.say(f'{what} is flat from {first[0]} to {last[0]} requests: {start:.0f} KiB then, {end:.0f} KiB now', fine)
        most = max(one[3] for one in seen)  # beside its own, one kept connection to the provider for each of ours
        result.say(f'open files: {seen[0][3]} at first, at most {most}', most - min(one[3] for one in seen) <= CONNECTIONS)
        refreshes = site.control('count', operation='pkb.refresh')['count']
        result.say(f'{refreshes} refreshes in {run} slices', 0 < refreshes <= run)
        text = site.get('/metrics')[1]
        missing = [word for word in ('verdict="valid",cache="hit"', 'verdict="gone",cache="miss"', 'verdict="refused"', 'event="refreshed"')
                   if word not in text]
        result.say(f'every sort of request was among them{" but " + " ".join(missing) if missing else ""}', not missing)
        new = site.get('/globals')[1].split()
        warnings = [line for line in site.log() if 'writing a global Lua variable' in line]
        result.say(f'no global was written: {" ".join(new) or "nothing new in _G"}, {len(warnings)} warnings', not new and not warnings)
        site.get('/dirty')
        result.say('and a written one would have been seen', 'dirty' in site.get('/globals')[1].split()
                   and any('writing a global Lua variable' in line for line in site.log()))
    finally:
        site.close()


def valgrind(result, folder):
    memory = f'{folder}/valgrind.log'
    with open(f'{memory}.known', 'w', encoding='ascii') as file:
        file.write(NGINX_OWN)
    site = Site(folder, master='master_process off;', under=(
        'valgrind', '-q', '--leak-check=full', '--show-leak-kinds=definite', '--errors-for-leak-kinds=definite', '--error-exitcode=9',
        '--keep-debuginfo=yes', f'--suppressions={memory}.known', f'--log-file={memory}'))
    try:
        known, cookie = site.token(), site.person()
        count = 0
        for turn in range(6):
            site.get(f'/skew?by={turn * 1000}')
            for path, headers in (
                    ('/api', {'Conneqt-Instant-Access-Token': known}), ('/api', {'Conneqt-Instant-Access-Token': f'x-{turn}'}), ('/api', {}),
                    ('/app', {'Cookie': cookie}), ('/app', {'Cookie': cookie}), ('/app', {}), ('/app', {'Cookie': '__Host-ha_session=x'}),
                    ('/callback?error=access_denied&state=x', {}), ('/status', {}), ('/metrics', {}), ('/logout', {})):
                site.get(path, headers)
                count += 1
            site.person()
            site.control('fault', kind=('lost_answer', 'unavailable', 'truncate')[turn % 3], at=0, provider='conneqt', operation='verify')
            site.get('/api', {'Conneqt-Instant-Access-Token': f'y-{turn}'})
            count += 5
        site.nginx.send_signal(3)  # QUIT: it ends in good order and frees what it has
        code = site.nginx.wait(timeout=120)
    finally:
        site.close()
    with open(memory, encoding='utf-8') as file:
        said = file.read()
    if said:
        print(said[:6000])
    result.say(f'valgrind, {count} requests: exit {code}, {said.count("==") and "see above" or "no error, nothing definitely lost"}', code == 0)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--requests', type=int, default=100000)
    options = parser.parse_args()
    result = Result()
    check_globals(result)
    for part in (lambda folder: soak(result, folder, options.requests, False), lambda folder: soak(result, folder, options.requests, True),
                 lambda folder: valgrind(result, folder)):
        folder = tempfile.mkdtemp(prefix='healthauth-soak.')
        try:
            part(folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    print(f'{result.passed} passed, {result.failed} failed, 0 skipped')
    return 1 if result.failed else 0


if __name__ == '__main__':
    sys.exit(main())
