#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compares the judge (src/base/json.c) with a strict reading by Python's json module.

json_agree.py JUDGE [CORPUS [COUNT [SEED]]]
JUDGE is the built test/c/json_judge_main.c. Every document of the corpus must get the verdict written there and the same yes or no
from Python; after it, COUNT documents that are mutations of the corpus, generated texts and numbers around the greatest double. The
same seed gives the same documents. Exit 1 on any disagreement.
"""
import json
import os
import random
import re
import subprocess
import sys

DEPTH, VALUES = 32, 100000
ALPHABET = [b'{', b'}', b'[', b']', b'"', b':', b',', b'\\', b'\\u', b'\\u0061', b'\\ud83d', b'\\ude00', b'\\"', b'0', b'1', b'9',
            b'-', b'+', b'.', b'e', b'E', b'e308', b'e309', b'1e-400', b' ', b'\n', b'\t', b'\r', b'\x00', b'\x0b', b'\x1f', b'\x7f',
            b'\x80', b'\xc3', b'\xa9', b'\xc3\xa9', b'\xed\xa0\x80', b'\xf0\x9f\x98\x80', b'\xef\xbb\xbf', b'true', b'null', b'a',
            b'"a":', b',"a":1', b'[]', b'/']
BORDER = 2 ** 1024 - 2 ** 970  # from here on a decimal rounds to infinity


class Refused(Exception):
    pass


def finite(text):
    if float(text) in (float('inf'), float('-inf')):
        raise Refused('number')
    return 0


def constant(text):
    raise Refused(text)


def whole_text(text):
    if any('\ud800' <= c <= '\udfff' for c in text):
        raise Refused('surrogate')


def members(pairs):
    if len({name for name, _ in pairs}) != len(pairs):
        raise Refused('duplicate')
    return dict(pairs)


def depth_of(value):
    if isinstance(value, str):
        whole_text(value)
        return 0
    if isinstance(value, dict):
        for name in value:
            whole_text(name)
        return 1 + max(map(depth_of, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(depth_of, value), default=0)
    return 0


def python_accepts(document):
    try:
        text = document.decode('utf-8', 'strict')
        value = json.loads(text, parse_float=finite, parse_int=finite, parse_constant=constant, object_pairs_hook=members)
        return depth_of(value) <= DEPTH
    except (Refused, ValueError, RecursionError):
        return False


def unescape(text):
    named = {b'\\': b'\\', b'n': b'\n', b'r': b'\r', b't': b'\t'}

    def one(match):
        what = match.group(1)
        if what[:1] == b'x':
            return bytes([int(what[1:], 16)])
        return named[what]
    return re.sub(rb'\\(x[0-9A-F]{2}|.)', one, text)


def read_corpus(path):
    rows = []
    with open(path, 'rb') as corpus:
        for line in corpus:
            line = line.rstrip(b'\n')
            if line and not line.startswith(b'#'):
                word, _, text = line.partition(b' ')
                rows.append((word.decode(), unescape(text)))
    return rows


def mutate(rng, documents):
    text = rng.choice(documents)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 6))):
        i, k = sorted((rng.randint(0, len(text)), rng.randint(0, len(text))))
        how = rng.randrange(7)
        if how == 0:
            text = text[:i] + text[i + 1:]
        elif how == 1:
            text = text[:i] + rng.choice(ALPHABET) + text[i:]
        elif how == 2:
            text = text[:i] + rng.choice(ALPHABET) + text[i + 1:]
        elif how == 3:
            text = text[:i] + text[i:k] * 2 + text[k:]
        elif how == 4:
            text = text[:i] + text[k:]
        elif how == 5:
            text = text[:i] + rng.choice(documents) + text[i:]
        else:
            text = rng.choice((b'[%s]', b'{"a":%s}', b'[1,%s]', b' %s\n', b'{"b":0,"a":%s}')) % text
    return text[:4000]


def border_number(rng):
    """A number whose size is near the border, with the point somewhere and the exponent to match."""
    digits = str(BORDER + rng.choice((-1, 0, 1)) * rng.choice((0, 1, 10 ** rng.randrange(309))))
    digits = digits[:rng.choice((309, 309, rng.randint(1, 309)))] + rng.choice(('', '0', '000', '1', '9', '0001'))
    shift, zeros = rng.randint(-20, 340), rng.randint(0, 5)
    exponent = 308 + rng.choice((0, 0, 0, 0, -1, 1)) + 1
    if shift <= 0:
        text, exponent = '0.' + '0' * -shift + digits, exponent - shift
    elif shift < len(digits):
        text, exponent = digits[:shift] + '.' + digits[shift:], exponent - shift
    else:
        text, exponent = digits, exponent - len(digits)
    sign = rng.choice(('', '+')) if exponent >= 0 else '-'
    return (rng.choice(('', '-')) + text + rng.choice('eE') + sign + '0' * zeros + str(abs(exponent))).encode()


def generate(rng, depth):
    """A text that is right but for what chance brings: the same name again, too much depth."""
    kind = rng.randrange(9 if depth < 36 else 6)
    space = lambda: rng.choice(('', '', '', ' ', '\n', '\t\r'))
    if kind == 0:
        return rng.choice(('true', 'false', 'null'))
    if kind <= 2:
        return rng.choice(('0', '-0', '1', '12', '0.5', '-1e5', '1E+308', '9e307', '1e-9', '123456789012345678901234567890'))
    if kind <= 5:
        return string(rng)
    if kind == 6:
        return '[' + space() + (space() + ',' + space()).join(generate(rng, depth + 1) for _ in range(rng.randrange(4))) + space() + ']'
    if kind == 7:
        return rng.choice(('[%s]', '{"a":%s}')) % generate(rng, depth + rng.choice((1, 1, 1)))
    body = [string(rng) + space() + ':' + space() + generate(rng, depth + 1) for _ in range(rng.randrange(5))]
    return '{' + space() + (space() + ',' + space()).join(body) + space() + '}'


def string(rng):
    """A string of few different characters, each spelt in one of its ways, so that equal names are common."""
    spell = {'a': ('a', '\\u0061'), 'b': ('b', '\\u0062'), '/': ('/', '\\/', '\\u002F'), '\n': ('\\n', '\\u000a'),
             '\u00e9': ('\u00e9', '\\u00e9'), '\U0001F600': ('\U0001F600', '\\ud83d\\ude00', '\\uD83D\\uDE00'), '\0': ('\\u0000',)}
    return '"' + ''.join(rng.choice(spell[rng.choice(list(spell))]) for _ in range(rng.randrange(5))) + '"'


def crowd(rng):
    """An object of many members, sometimes with one name twice."""
    count = rng.randint(2, 300)
    width = rng.choice((0, 1, 40))
    names = ['x' * (width * rng.randrange(2)) + '%x' % n for n in rng.sample(range(100000), count)]
    if rng.randrange(2):
        names[rng.randrange(count)] = names[rng.randrange(count)]
    spell = lambda name: ''.join(rng.choice((c, c, c, '\\u%04x' % ord(c))) for c in name)
    return '{' + ','.join('"%s":0' % spell(name) for name in names) + '}'


def invented(rng, documents, count):
    yield b'[' * 100000
    yield b'[' * 900 + b']' * 900
    yield b'{"a":' * 100000
    yield b'1' * 100000
    yield b'0.' + b'0' * 100000 + b'1e100001'
    yield b'0.' + b'0' * 100000 + b'1e100310'
    yield b'1' + b'0' * 100000 + b'e-100000'
    for n in range(count):
        how = n % 10
        if how < 6:
            yield mutate(rng, documents)
        elif how < 7:
            yield border_number(rng)
        elif how < 8:
            yield crowd(rng).encode() if n % 50 == 7 else string(rng).encode()
        else:
            yield generate(rng, 0).encode()


def judge(program, documents):
    data = b''.join(b'%d\n%s' % (len(text), text) for text in documents)
    run = subprocess.run([program, str(DEPTH), str(VALUES)], input=data, stdout=subprocess.PIPE, check=True)
    words = [line.split()[0].decode() for line in run.stdout.splitlines()]
    if len(words) != len(documents):
        sys.exit('the judge answered %d times for %d documents' % (len(words), len(documents)))
    return words


def main(argv):
    if len(argv) < 2:
        sys.exit(__doc__)
    here = os.path.dirname(os.path.abspath(__file__))
    corpus = read_corpus(argv[2] if len(argv) > 2 else os.path.join(here, '..', 'spec', 'corpus', 'json.txt'))
    rng = random.Random(int(argv[4]) if len(argv) > 4 else 20240229)
    documents = [text for _, text in corpus]
    documents += list(invented(rng, documents, int(argv[3]) if len(argv) > 3 else 20000))
    passed = failed = accepted = 0
    for n, (text, word) in enumerate(zip(documents, judge(argv[1], documents))):
        yes = python_accepts(text)
        accepted += yes
        wanted = corpus[n][0] if n < len(corpus) else word
        if (word == 'fine') == yes and word == wanted:
            passed += 1
        else:
            failed += 1
            print('%r: judge %s, wanted %s, python %s' % (text[:300], word, wanted, 'accepts' if yes else 'refuses'))
    print('%d documents of the corpus, %d invented, %d accepted' % (len(corpus), len(documents) - len(corpus), accepted))
    if len(corpus) < 320 or accepted < 100:
        failed += 1
        print('too few documents to mean anything')
    print('%d passed, %d failed, 0 skipped' % (passed, failed))
    return 1 if failed else 0


if __name__ == '__main__':
    sys.setrecursionlimit(20000)
    sys.exit(main(sys.argv))
