# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Templates of one feature each, and the variables that they see. What they render is not written down:
jinja2, as transformers sets it up, is asked."""

MESSAGES = [
    {"role": "system", "content": "Be kind."},
    {"role": "user", "content": "  Grüße, 東京 🙂!  ", "name": "ann"},
    {"role": "assistant", "content": "Ok.\nTwo lines.", "tool_calls": [
        {"id": "1", "type": "function", "function": {"name": "f", "arguments": {"z": 1, "a": [1.5, None, True]}}}]},
    {"role": "user", "content": ""},
]

VARIABLES = {
    "bos_token": "<s>", "eos_token": "</s>",
    "s": "Hello World", "u": "Straße ΣΑΣ ǆ 東京🙂é", "n": 7, "neg": -7, "f": 2.5, "big": 9007199254740993,
    "t": True, "no": False, "nothing": None, "l": [3, 1, 2], "words": ["pear", "Apple", "fig", "apple"],
    "d": {"b": 1, "a": 2, "items": "own"}, "nested": {"x": {"y": [10, 20, {"z": "deep"}]}},
    "people": [{"name": "Bo", "age": 3, "on": True}, {"name": "al", "age": 1, "on": False}, {"name": "Cy", "age": 3}],
    "html": "<b>&'\"</b>", "lines": "one\n\n  two\r\nthree\x0bfour\u2028five", "blank": " \t\n ",
}

FEATURES = [
    # Blanks
    "a\n  {% if t %}\n  b\n  {% endif %}\nc", "x\n    {{ s }}\ny", "  {{ s }}  ", "a\r\nb\r\n{% if t %}\r\nc{% endif %}\r\n",
    "a  {%- if t -%}  b  {%- endif -%}  c", "a\n  {%+ if t %}b{% endif +%}\n c", "a {#- note -#} b", "a\n  {# note #}\n b",
    "{{ s -}}  \n  b", "a \n {{- s }}", "{% raw %}  {{ x }} {% if %} {% endraw %}", "a\n {%- raw -%}  {{ x }}  {%- endraw -%} \n b",
    "{% raw %}\n{{ y }}\n{% endraw %}\nend", "tail\n", "tail\n\n", "\n\nhead", "{% set a = 1 %}\n\n{{ a }}", "{{ '{{' }}{{ '}}' }}",
    "a\u00a0\u2003{%- if t %}b{% endif %}", "a { b } { { % } # }", "{% if t %}\n\n{% endif %}\n", "one\rtwo", "{{ 1 }}\n{{ 2 }}\n",
    "   {% set x = 1 %}{{ x }}", "{# a #}{# b #}\n{# c #}\nd", "{%- for i in l -%} {{ i }} {%- endfor -%}",
    # Literals
    r"{{ '\u2581' }}{{ '\x41\n\t\\\'\101' }}", r"{{ '\d\q' }}", r"{{ 'a' 'b' " + '"c"' + r" }}", "{{ '\\U0001f642' }}", "{{ 'a\\\nb' }}",
    "{{ 1_000 + 0x1F + 0b11 + 0o17 }}", "{{ 1.5e3 }} {{ 1e16 }} {{ 1e-5 }} {{ 0.1 }} {{ 100.0 }}", "{{ 123456789012345680.0 }} {{ 1e22 }}",
    "{{ none }} {{ None }} {{ true }} {{ False }}", "{{ [] }} {{ {} }} {{ () }} {{ (1,) }} {{ 1, 2 }}", "{{ [1, 'a', none, 1.0, true] }}",
    "{{ {'a': 1, 2: 'b', none: []} }}", "{{ ['it\\'s', 'say \"x\"', 'both \\' \"', 'tab\\t', '\\x07', 'é', '\\u200b'] }}", "{{ nested }}", "{{ 007.5 }}",
    # Arithmetic
    "{{ 7 / 2 }} {{ 6 / 3 }} {{ 7 // 2 }} {{ 7 % 3 }}", "{{ -7 // 2 }} {{ -7 % 3 }} {{ 7 // -2 }} {{ 7 % -3 }}", "{{ -7.5 // 2 }} {{ -7.5 % 2 }} {{ 7.5 % -2 }}",
    "{{ 2 ** 10 }} {{ 2 ** -1 }} {{ 2 ** 3 ** 2 }} {{ -2 ** 2 }}", "{{ 1 + 2 * 3 - 4 }} {{ (1 + 2) * 3 }}", "{{ 1 + 1.0 }} {{ true + 1 }} {{ 3 - t }}",
    "{{ 'ab' * 3 }} {{ 2 * [1] }} {{ 'x' * -1 }}|", "{{ 1 / 0 }}", "{{ 1 % 0 }}", "{{ 1.0 // 0 }}", "{{ 'a' + 1 }}", "{{ 1 + 'a' }}", "{{ [1] + [2] }} {{ (1,) + (2,) }}",
    "{{ 'a' ~ 1 ~ none ~ 2.0 ~ missing }}|", "{{ -n }} {{ +n }} {{ --n }}", "{{ 0.1 + 0.2 }} {{ 1 / 3 }} {{ 2 / 3 * 3 }}", "{{ 5 % 3.5 }} {{ -0.0 }} {{ 0 * -1.0 }}",
    "{{ [1] + (2,) }}", "{{ none + 1 }}", "{{ missing + 1 }}", "{{ 1e308 * 10 }}", "{{ 10 ** 15 / 7 }}",
    # Logic
    "{{ 1 and 2 }} {{ 0 and 2 }} {{ '' or 'x' }} {{ 0 or [] }}", "{{ not 0 }} {{ not 'a' }} {{ not not 1 }}", "{{ 1 == 1.0 }} {{ 1 == true }} {{ '1' == 1 }} {{ [1] == [1.0] }} {{ (1,) == [1] }}",
    "{{ 1 < 2 < 3 }} {{ 3 > 2 > 2 }} {{ 1 < 2 == true }}", "{{ 'a' < 'b' }} {{ 'Z' < 'a' }} {{ [1, 2] < [1, 3] }}", "{{ 1 < 'a' }}", "{{ 'é' > 'z' }} {{ '🙂' > '\\uffff' }}",
    "{{ 2 in l }} {{ 9 not in l }} {{ 'ell' in s }} {{ 'b' in d }} {{ 1 in d }}", "{{ 1 in s }}", "{{ 'x' in missing }} {{ missing in l }}", "{{ 'a' if t }} {{ 'a' if no }}|{{ 'a' if no else 'b' if t else 'c' }}",
    "{{ missing == missing }} {{ missing == none }} {{ missing != 1 }}", "{{ big == 9007199254740992.0 }} {{ big }}", "{{ {'a': 1} == {'a': 1.0} }} {{ none == false }}", "{{ not a == b }} {{ not t and no }}",
    "{{ (1 if t else 2) + 1 }}", "{% if missing %}a{% elif none %}b{% elif [] %}c{% elif '0' %}d{% else %}e{% endif %}",
    # Access
    "{{ messages[0].role }} {{ messages[0]['role'] }} {{ messages[-1]['role'] }}", "{{ messages[1:] | length }} {{ messages[:-1] | length }} {{ l[::-1] }} {{ l[1:1] }}", "{{ s[0] }} {{ s[-1] }} {{ s[1:4] }} {{ s[::-2] }} {{ s[99:] }}|",
    "{{ u[6] }} {{ u[-1] }} {{ u[2:9] }} {{ u[::-1] }}", "{{ u | length }} {{ messages[1].content | length }}", "{{ d['items'] }} {{ d.b }} {{ d['nope'] }}|", "{{ nested.x.y[2].z }} {{ nested.x.y.2.z }} {{ nested['x']['y'][0] }}",
    "{{ l[99] }}|{{ l['a'] }}|{{ l[1.0] }}|", "{{ missing.a }}", "{{ missing }}|{{ messages[0].nope }}|{{ n.nope }}|{{ s.nope }}", "{{ none.a }}|", "{{ messages[0].nope.more }}", "{{ l[true] }} {{ l[-3] }} {{ l[-4] }}|",
    "{{ (1, 2, 3)[1:] }} {{ range(10)[2:8:3] | list }}", "{{ s[:none] }} {{ l[none:2] }}", "{{ l[::0] }}", "{{ s['upper']() }} {{ d['keys']() | list }}", "{{ l['a':] }}|", "{{ d[1] }}|{{ d[[1]] }}|",
    # Loops
    "{% for m in messages %}{{ loop.index }}/{{ loop.length }} {{ loop.first }} {{ loop.last }} {{ m.role }};{% endfor %}", "{% for i in l %}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }},{% endfor %}",
    "{% for i in l %}{{ loop.previtem }}<{{ i }}>{{ loop.nextitem }} {% endfor %}", "{% for i in [] %}x{% else %}none{% endfor %}", "{% for i in missing %}x{% else %}none{% endfor %}", "{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}", "{% for k in d %}{{ k }}{% endfor %}",
    "{% for c in 'aé🙂' %}[{{ c }}]{% endfor %}", "{% for i in l if i > 1 %}{{ i }}{{ loop.length }}{% endfor %}", "{% for i in range(3) %}{{ i }}{% endfor %} {{ range(2, 10, 3) | list }} {{ range(3, 0, -1) | list }}", "{% for i in l %}{% if i == 1 %}{% continue %}{% endif %}{{ i }}{% endfor %}",
    "{% for i in l %}{{ i }}{% break %}{% endfor %}", "{% for i in 5 %}{% endfor %}", "{% for i in none %}{% endfor %}", "{% for a, b in [[1, 2], [3, 4]] %}{{ a + b }} {% endfor %}", "{% for a, b in [[1]] %}{% endfor %}", "{% for (a, b), c in [[[1, 2], 3]] %}{{ a }}{{ b }}{{ c }}{% endfor %}",
    "{% for i in l %}{{ loop.cycle('a', 'b') }}{% endfor %}", "{% for i in [1, 1, 2] %}{{ loop.changed(i) }} {% endfor %}", "{% for n in [1, [2, [3]]] recursive %}{% if n is iterable %}({{ loop(n) }}){% else %}{{ n }}@{{ loop.depth }}{% endif %}{% endfor %}",
    "{% for i in l %}{% for j in l %}{{ loop.index }}{% endfor %}{{ loop.index }} {% endfor %}", "{% set x = 1 %}{% for i in l %}{% set x = x + i %}{{ x }} {% endfor %}{{ x }}", "{% for i in l %}{% continue %}{% else %}never done{% endfor %}", "{% for i in l %}{% break %}{% else %}broken{% endfor %}",
    "{% set ns = namespace(seen=false) %}{% for i in [1, 2, 3] if not ns.seen %}{{ i }}{% set ns.seen = i == 2 %}{% endfor %}", "{% for i in (1, 2) %}{{ i }}{% endfor %}{% for i in 1, 2 %}{{ i }}{% endfor %}", "{{ loop }}|", "{% for i in l | sort %}{{ i }}{{ loop.last }}{% endfor %}",
    "{% for i in l | select('gt', 1) %}{{ loop.index }}/{{ loop.length }}{{ loop.last }} {% endfor %}", "{{ range(100001) }}", "{{ range(0, 5, 0) }}", "{{ range(5) }} {{ range(1, 9, 2) }} {{ range(3)[1] }} {{ range(9).start }}", "{% for x in d.values() %}{{ x }}{% endfor %}",
    # Assignments and scopes
    "{% set a = 1, 2 %}{{ a }}", "{% set a, b = 1, 2 %}{{ b }}{{ a }}", "{% set (a, b) = [1, 2] %}{{ a }}", "{% set a %} x {{ s }} {% endset %}[{{ a }}]", "{% set a | upper | trim %} x {% endset %}[{{ a }}]", "{% set ns = namespace(a=1, b='x') %}{% set ns.a = ns.a + 1 %}{{ ns.a }}{{ ns.b }}{{ ns.c }}|",
    "{% if t %}{% set q = 5 %}{% endif %}{{ q }}", "{% with a = 1, b = 2 %}{{ a + b }}{% endwith %}{{ a }}|", "{% with %}{% set z = 1 %}{{ z }}{% endwith %}{{ z }}|", "{% set d.x = 1 %}", "{% set ns = namespace({'k': 1}, m=2) %}{{ ns.k }}{{ ns.m }}{{ ns['k'] }}", "{% set a, b = 1 %}", "{% set a, b = [1, 2, 3] %}",
    "{% set x = 1 %}{% with x = x + 1, y = x %}{{ x }}{{ y }}{% endwith %}", "{% set ns = namespace(_x=1) %}", "{% set true = 1 %}",
    # Macros
    "{% macro m(a, b=2, c=b) %}{{ a }}{{ b }}{{ c }}|{% endmacro %}{{ m(1) }}{{ m(1, 3) }}{{ m(b=5, a=4) }}{{ m() }}", "{% macro m() %}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, 2, k=3) }}", "{% macro m(a) %}{% endmacro %}{{ m(1, 2) }}", "{% macro m(a) %}{% endmacro %}{{ m(x=1) }}",
    "{% macro m(x) %}<{{ caller(x) }}>{% endmacro %}{% call(y) m(3) %}got {{ y }}{% endcall %}", "{% macro m() %}<{{ caller() }}>{% endmacro %}{% call m() %}in{% endcall %}", "{% macro f(n) %}{% if n %}{{ n }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(4) }}", "{% macro m() %}{{ s }}{{ late }}{% endmacro %}{% set late = 'L' %}{{ m() }}",
    "{% macro m() %} x {% endmacro %}{{ m() | trim | length }}{{ m.name }}{{ m.arguments }}", "{% macro m() %}a{% endmacro %}{{ m() + 'b' }}", "{% macro f(n) %}{{ f(n + 1) }}{% endmacro %}{{ f(0) }}", "{{ nope() }}", "{{ s() }}", "{% macro m(a, a) %}{% endmacro %}", "{% macro m() %}{% endmacro %}{% call m() %}{% endcall %}",
    "{% generation %}{% set g = 1 %}a{{ g }}{% endgeneration %}{{ g }}|", "{% filter upper %}x {{ s }}{% endfilter %}", "{% filter replace('o', '0') | upper %}foo{% endfilter %}", "{% print s %}{% print 1, 2 %}", "{{ dict(a=1, b=2) }} {{ dict([['x', 1]]) }} {{ dict({'y': 2}, z=3) }}",
    "{{ cycler('a', 'b').next() }}", "{% set j = joiner('; ') %}{% for i in l %}{{ j() }}{{ i }}{% endfor %}", "{% set c = cycler(1, 2) %}{{ c.next() }}{{ c.next() }}{{ c.next() }}{{ c.current }}", "{{ raise_exception('bad role') }}", "{{ strftime_now('%Y-%m-%d') }}", "{{ strftime_now('%d %b %Y %%') | length }}", "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(*[1]) }}{{ m(**{'a': 2}) }}",
    # Filters of sequences
    "{{ l | first }}{{ l | last }}{{ [] | first }}{{ 'é🙂' | first }}{{ 'é🙂' | last }}", "{{ l | length }}{{ s | count }}{{ d | length }}", "{{ l | join(', ') }} {{ people | join('-', attribute='name') }} {{ [1, none, 'x'] | join }}", "{{ l | sort }} {{ l | sort(reverse=true) }} {{ words | sort }} {{ words | sort(case_sensitive=true) }}", "{{ people | sort(attribute='age,name') | map(attribute='name') | list }}", "{{ [1, 'a'] | sort }}",
    "{{ l | reverse | list }} {{ s | reverse }} {{ u | reverse }}", "{{ l | list }} {{ 'aé' | list }} {{ d | list }}", "{{ l | map('string') | list }} {{ words | map('upper') | join(' ') }}", "{{ people | map(attribute='age') | list }} {{ people | map(attribute='on', default='?') | list }}", "{{ people | selectattr('on') | map(attribute='name') | list }}", "{{ people | rejectattr('on') | map(attribute='name') | list }}", "{{ people | selectattr('age', 'equalto', 3) | list | length }}", "{{ people | selectattr('on', 'defined') | list | length }}",
    "{{ l | select('odd') | list }} {{ l | reject('odd') | list }} {{ [0, 1, '', 'a'] | select | list }}", "{{ l | map('foo') | list }}", "{{ l | select('foo') | list }}", "{{ words | unique | list }} {{ words | unique(case_sensitive=true) | list }}", "{{ l | min }}{{ l | max }}{{ words | min }}{{ [] | max }}|", "{{ l | sum }} {{ people | sum(attribute='age') }} {{ [[1], [2]] | sum(start=[]) }}", "{{ people | groupby('age') }}",
    "{% for g in people | groupby('age') %}{{ g.grouper }}:{{ g.list | map(attribute='name') | join(',') }};{% endfor %}", "{% for k, v in people | groupby('on', default='x') %}{{ k }}{{ v | length }}{% endfor %}", "{{ [1, 2, 3, 4, 5] | batch(2) | list }} {{ [1, 2, 3] | batch(2, 'x') | list }}", "{{ [1, 2, 3, 4, 5] | slice(3) | list }} {{ [1, 2] | slice(3, 0) | list }}", "{{ d | dictsort }} {{ d | dictsort(by='value') if no else {'x': 2, 'Y': 1} | dictsort(by='value', reverse=true) }}",
    "{{ d | items | list }} {{ missing | items | list }}", "{{ d.items() }} {{ d.keys() }} {{ d.values() }}", "{{ l | random if no else 'ok' }}", "{{ l | attr('count') is callable }} {{ d | attr('b') }}|", "{{ l | map('abs') | last }}", "{{ (l | map('abs')) | length }}", "{{ 5 | list }}", "{{ 5 | length }}", "{{ none | length }}", "{{ missing | last }}{{ missing | reverse | list }}|", "{{ l | sort(reverse=none) }}", "{{ 'a' % missing }}{{ 'a' % l }}{{ 'a' % d }}", "{{ 'a' % 1 }}", "{{ missing | length }} {{ missing | list }} {{ missing | join }}|", "{{ {'a': 1}.items() | list | first | last }}",
    # Filters of texts
    "{{ s | upper }}{{ s | lower }}{{ u | upper }}{{ u | lower }}", "{{ 'hELLO wORLD' | capitalize }} {{ 'ǆa' | capitalize }} {{ 'éA' | capitalize }}", "{{ \"hello wORLD-foo (bar) it's\" | title }}", "{{ '  x  ' | trim }}|{{ 'xxaxx' | trim('x') }}|{{ blank | trim }}|{{ '\u3000a\u00a0' | trim }}", "{{ s | replace('o', '0') }} {{ s | replace('o', '0', 1) }} {{ 'abc' | replace('', '-') }}", "{{ 1 | string + 'x' }} {{ none | string }} {{ [1] | string }}",
    "{{ lines | indent }}", "{{ lines | indent(2, true) }}", "{{ lines | indent('> ', blank=true) }}", "{{ 'x' | indent(width=3, first=true) }}", "{{ 5 | indent }}", "{{ 'ab' | center(7) }}|{{ 'abc' | center(6) }}|", "{{ 'hello big world' | truncate(9) }} {{ 'hello big world' | truncate(9, true) }} {{ 'hello' | truncate(3, true, '', 0) }}", "{{ 'a b,c-d é_f' | wordcount }}",
    "{{ '%s is %d and %.2f' | format('x', 7, 1.005) }}", "{{ '%(a)s-%(b)03d' | format(a='x', b=5) }}", "{{ '%5s|%-5s|%05d|%+d|%x|%r' % ('a', 'b', 42, 3, 255, 'q') }}", "{{ '%s' % l }} {{ '%s %%' % 1 }}", "{{ '%d' % 'a' }}", "{{ '%s %s' % 'a' }}", "{{ html | e }} {{ html | escape }}", "{{ html | safe }}", "{{ (html | e) + html }} {{ html + ('<' | safe) }} {{ ('<' | safe) * 2 + '>' }} {{ ('<' | safe) ~ '>' }} {{ ('<a' | safe)[0] + '>' }} {{ ('<a' | safe) | first + '>' }} {{ ['<' | safe, '>'] | join + '<' }}", "{{ missing | default('x') }}{{ none | default('x') }}{{ '' | default('x') }}{{ '' | default('x', true) }}{{ none | d('y', boolean=true) }}",
    "{{ 'a b/c?é&' | urlencode }} {{ {'a b': 'c&d'} | urlencode }}", "{{ 'x' | foo }}", "{% if no %}{{ 'x' | foo }}{% endif %}ok", "{{ 'x' is foo }}", "{{ s | upper | lower | title | length }}", "{{ -3 | abs }} {{ -3.5 | abs }} {{ (-3) | abs }}", "{{ '42' | int }}{{ '4.9' | int }}{{ 'x' | int }}{{ 'x' | int(7) }}{{ 3.9 | int }}{{ ' 5_0 ' | int }}{{ '0x1f' | int(base=16) }}{{ none | int }}", "{{ '1.5' | float }}{{ 'x' | float }}{{ 3 | float }}{{ 'inf' | float }}{{ '1e3' | float }}", "{{ '1e385471.5' | float }} {{ '1e999' | float }} {{ '.5' | float }} {{ '5.' | float }} {{ '1e' | float }} {{ '.' | float }} {{ '1e5.' | float }} {{ '0x1p3' | float }} {{ '1_0.5' | float }} {{ '' | float }} {{ '-.5e-1' | float }} {{ '+ 5' | float }}",
    "{{ 2.5 | round }} {{ 3.5 | round }} {{ 2.675 | round(2) }} {{ 42.55 | round(1, 'floor') }} {{ 42.51 | round(0, 'ceil') }} {{ 5 | round }} {{ 1234 | round(-2) }} {{ 0.5 | round }} {{ -0.5 | round }}", "{{ 1000000 | filesizeformat }} {{ 1 | filesizeformat }} {{ 500 | filesizeformat }} {{ 123456 | filesizeformat(true) }}",
    # tojson
    "{{ nested | tojson }}", "{{ messages | tojson }}", "{{ messages | tojson(indent=2) }}", "{{ u | tojson }} {{ u | tojson(ensure_ascii=true) }}", "{{ [1.0, 1e20, none, true, '\"\\\\/\\n\\x07\\x7f'] | tojson }}", "{{ {'b': 1, 'a': [], 'c': {}} | tojson(sort_keys=true, indent=4) }}", "{{ [1, {'a': 2}] | tojson(separators=(',', ':')) }}", "{{ missing | tojson }}", "{{ {1: 2, none: 3, true: 4, 1.5: 5} | tojson }}", "{{ (1, 2) | tojson }} {{ html | tojson }}", "{{ [1, 2] | tojson(indent='--') }}", "{{ range(2) | tojson }}", "{{ d.items() | tojson }}", "{{ messages | tojson(true, 1) }}",
    # Methods
    "{{ s.upper() }}{{ s.lower() }}{{ s.title() }}{{ s.capitalize() }}{{ s.swapcase() }}", "{{ ' x '.strip() }}|{{ 'xxa'.lstrip('x') }}|{{ 'axx'.rstrip('x') }}", "{{ s.split() }} {{ s.split('o') }} {{ 'a,b,c'.split(',', 1) }} {{ 'a,b,c'.rsplit(',', 1) }} {{ '  a  b '.split() }} {{ ''.split() }} {{ ''.split(',') }} {{ ' a b c '.split(none, 1) }}", "{{ s.startswith('He') }} {{ s.endswith(('x', 'ld')) }} {{ s.startswith('lo', 3) }}", "{{ s.find('o') }} {{ s.rfind('o') }} {{ u.find('東') }} {{ s.find('zz') }} {{ s.index('W') }} {{ s.count('l') }}", "{{ s.index('zz') }}",
    "{{ s.replace('l', 'L', 2) }}", "{{ 'a-b-c'.partition('-') }} {{ 'a-b-c'.rpartition('-') }} {{ 'abc'.partition('-') }}", "{{ lines.splitlines() }} {{ lines.splitlines(true) }}", "{{ '-'.join(['a', 'b']) }}", "{{ '-'.join([1]) }}", "{{ 'x'.center(5, '*') }}{{ 'x'.ljust(3, '.') }}{{ 'x'.rjust(3) }}{{ '7'.zfill(3) }}{{ '-7'.zfill(4) }}", "{{ 'abc'.isalpha() }}{{ '12'.isdigit() }}{{ ' '.isspace() }}{{ 'Ab'.istitle() }}{{ 'a1'.isalnum() }}{{ 'ab'.islower() }}{{ 'AB'.isupper() }}{{ '²'.isdigit() }}{{ '½'.isnumeric() }}{{ 'é'.isascii() }}{{ 'a_1'.isidentifier() }}", "{{ 'prefix-x'.removeprefix('prefix-') }} {{ 'x.txt'.removesuffix('.txt') }}",
    "{{ '{} {1} {}'.format('a', 'b') }}", "{{ '{} and {}'.format('a', 2) }} {{ '{1}{0}'.format('a', 'b') }} {{ '{x}!'.format(x='y') }} {{ '{{}}'.format() }}", "{{ '{:>5}|{:<5}|{:^5}|{:05d}|{:.2f}|{:,}|{:x}|{!r}'.format('a', 'b', 'c', 42, 3.14159, 1234567, 255, 'q') }}", "{{ '{0[a]}{1.role}{2[1]}'.format(d, messages[0], l) }}", "{{ d.get('a') }}{{ d.get('zz') }}{{ d.get('zz', 5) }}", "{{ l.index(1) }}{{ l.count(3) }}", "{{ l.append(4) }}", "{{ d.update({'x': 1}) }}", "{{ d.pop('a') }}", "{{ l.append is defined }}", "{{ d.copy() }}", "{{ 'ß'.casefold() }}{{ 'ŉ'.upper() }}{{ 'ﬁ'.title() }}{{ 'ŉ'.title() }}{{ 'ᾲ'.title() }}{{ 'ᾈ'.title() }}{{ 'İ'.lower() | length }}", "{{ '%s' | format }}",
    # Tests
    "{{ missing is defined }}{{ s is defined }}{{ missing is undefined }}{{ none is none }}{{ missing is none }}", "{{ s is string }}{{ 1 is string }}{{ 1 is number }}{{ true is number }}{{ 1.5 is float }}{{ 1 is integer }}{{ true is integer }}{{ true is boolean }}", "{{ d is mapping }}{{ l is mapping }}{{ l is sequence }}{{ s is sequence }}{{ d is sequence }}{{ l is iterable }}{{ 5 is iterable }}{{ missing is sequence }}{{ missing is iterable }}", "{{ 3 is odd }}{{ 4 is even }}{{ 9 is divisibleby 3 }}{{ 9 is divisibleby(2) }}{{ -3 is odd }}", "{{ 1 is eq 1 }}{{ 1 is == 1 if no else 2 is ne 3 }}{{ 1 is lt 2 }}{{ 2 is ge(2) }}{{ 'a' is in 'abc' }}{{ 5 is in l }}",
    "{{ 'a' is lower }}{{ 'A' is upper }}{{ 'Aa' is lower }}{{ '1' is lower }}", "{{ true is true }}{{ 1 is true }}{{ false is false }}{{ 0 is false }}", "{{ none is sameas none }}{{ l is sameas l }}", "{{ range is callable }}{{ s is callable }}", "{{ 'upper' is filter }}{{ 'nope' is filter }}{{ 'odd' is test }}", "{{ s is not none and s is not undefined }}", "{{ not missing is defined }}", "{{ l is not string }}", "{{ messages[0].content is string and messages[0].content is not mapping }}", "{{ s is escaped }}{{ (s | safe) is escaped }}",
    # Syntax errors
    "{% if %}", "{% for x in y %}", "{{ 1 +", "{{ }}", "{% endif %}", "{% nope %}", "{{ 'a }}", "{{ (1 }}", "{{ 1 ]}}", "{# open", "{% raw %}", "{% if t %}{% endfor %}", "{{ a b }}", "{% set %}", "{{ x is }}", "{{ x | }}", "{% break %}", "{{ f(a=1, 2) }}", "{{ 1 is odd is even }}", "{% else %}", "{{ $ }}", "{% for %}{% endfor %}", "{{ a.b. }}", "{{ {1} }}", "{{ l[ }}",
]

# Rendered by jinja2, and refused in words here.
REFUSED = [
    "{% block a %}x{% endblock %}", "{% autoescape false %}x{% endautoescape %}", "{{ l | map('abs') }}", "{{ namespace() }}", "{{ 2 ** 64 }}", "{{ 99999999999999999999 }}", "{{ html | striptags }}", "{{ l | pprint }}",
    "{{ n.real }}", "{{ s.encode() }}", "{% for i in l %}{{ loop }}{% endfor %}", "{{ '\\N{DEGREE SIGN}' }}", "{{ 'a b' | wordwrap(1) }}",
    "{{ ('%s' | safe) % '<' }}", "{{ ('<' | safe).upper() }}", "{{ d.items }}", "{{ s.upper }}", "{{ s.__class__ }}",
]
