# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What `weirc chat` renders against Python's jinja2 as transformers sets it up: templates of one feature
each, the published templates that llama.cpp carries, and texts that hypothesis makes up. One process
renders each list.

Equal texts, or errors on both sides; chat_features.REFUSED are the forms that jinja2 renders and Weir
refuses in words.
"""

import json
from pathlib import Path

import chat_features
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast
from transformers.utils.chat_template_utils import _compile_jinja_template, render_jinja_template
from weir.export import chat

ROOT = Path(__file__).resolve().parents[2]
TEMPLATES = ROOT / "third_party-test" / "templates"
TOKENS = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}


def by_jinja2(template: str, variables: dict) -> str | None:
    """The text, or None where anything is raised."""
    try:
        return _compile_jinja_template(template).render(
            messages=chat_features.MESSAGES, tools=None, documents=None, add_generation_prompt=False, **variables)
    except Exception:
        return None


def by_weir(templates: list[str], variables: dict) -> list[tuple[str | None, str]]:
    return chat.rendered([{"template": template, "messages": chat_features.MESSAGES, "variables": variables}
                          for template in templates])


@pytest.mark.filterwarnings("ignore:invalid escape sequence")
def test_features_are_rendered_as_jinja2_does():
    assert len(set(chat_features.FEATURES)) >= 300
    got = by_weir(chat_features.FEATURES, chat_features.VARIABLES)
    want = [by_jinja2(template, chat_features.VARIABLES) for template in chat_features.FEATURES]
    assert sum(text is not None for text in want) >= 240, "most of them are no errors"
    wrong = [(template, text, other) for template, text, other in zip(chat_features.FEATURES, want, got)
             if text != other[0]]
    assert wrong == []


def test_what_is_not_supported_is_refused_in_words():
    for template, (text, why) in zip(chat_features.REFUSED, by_weir(chat_features.REFUSED, chat_features.VARIABLES)):
        assert by_jinja2(template, chat_features.VARIABLES) is not None, template
        assert text is None and why.startswith("chat template: line 1: "), template


def test_published_templates_are_rendered_as_transformers_does():
    sources = {path.name: path.read_text(encoding="utf-8") for path in sorted(TEMPLATES.glob("*.jinja"))}
    assert len(sources) >= 25, "./bootstrap test unpacks them"
    cases = [(name, source, *job) for name, source in sources.items() for job in chat.jobs()]
    got = chat.rendered([{"template": source, "messages": messages, "tools": tools, "variables": TOKENS, **end}
                         for _, source, _, messages, tools, end in cases])
    wrong, texts = [], 0
    for (name, source, what, messages, tools, end), (text, why) in zip(cases, got):
        try:
            want = render_jinja_template([messages], tools=tools, chat_template=source, **TOKENS, **end)[0][0]
        except Exception:
            want = None
        texts += want is not None
        if want != text:
            wrong.append((name, what, want, text, why))
    assert wrong == []
    assert texts >= 500, "most chats are rendered"


TEXTS = st.text(st.sampled_from("aB ß é\u0301\u00a0\u2028 \t\n\r\x0b東🙂ǅΣσ.-_'\"\\/<{[%#}]>0٣½"), max_size=12)
NUMBERS = st.integers(-100, 100) | st.sampled_from([0.5, -2.5, 1e16, 1e-7, 3.0])
# Operations on two texts and two numbers.
OPERATIONS = [
    "{{ a | upper }}|{{ a | lower }}|{{ a | title }}|{{ a | capitalize }}|{{ a.title() }}|{{ a.swapcase() }}|{{ a.casefold() }}",
    "{{ a[n:] }}|{{ a[:n] }}|{{ a[n:m] }}|{{ a[::-1] }}|{{ a[n] }}|{{ a | length }}|{{ [a, b] }}|{{ a | tojson }}",
    "{{ a | trim }}|{{ a.split() }}|{{ a.rsplit(none, 1) }}|{{ a.split('B') }}|{{ a.splitlines() }}|{{ a | indent }}|{{ a | wordcount }}",
    "{{ a.find(b) }}|{{ a.count(b) }}|{{ a | replace(b, 'x') }}|{{ b in a }}|{{ a < b }}|{{ a.startswith(b) }}|{{ a.rfind('a', n) }}",
    "{{ a.isalpha() }}{{ a.isdigit() }}{{ a.isnumeric() }}{{ a.isspace() }}{{ a.islower() }}{{ a.isupper() }}{{ a.istitle() }}"
    "{{ a.isidentifier() }}{{ a.isprintable() }}{{ a.isalnum() }}",
    "{{ a | center(9) }}|{{ a.ljust(8, '.') }}|{{ a.zfill(6) }}|{{ '%8s|%-8s|%.3s' % (a, b, a) }}|{{ '{:^9}|{!r}'.format(a, b) }}",
    "{{ a | urlencode }}|{{ a | e }}|{{ a | truncate(5, true, '', 0) }}|{{ a | list }}|{{ a | reverse }}|{{ a | unique | join(b) }}",
    "{{ n + m }}|{{ n * m }}|{{ n - m }}|{{ n < m }}|{{ n == m }}|{{ n | int }}|{{ n | string }}|{{ n | abs }}|{{ [n, m] | sort }}",
    "{{ n // m }}|{{ n % m }}|{{ n / m }}", "{{ n | round }}|{{ n | round(1) }}|{{ '%.2f|%5.1f|%d|%+d' % (n, m, n, m) }}",
]


@given(st.lists(st.tuples(TEXTS, TEXTS, NUMBERS, NUMBERS), min_size=40, max_size=40))
@settings(max_examples=5, deadline=None)
def test_texts_and_numbers_are_pythons(rows):
    requests, want = [], []
    for row in rows:
        variables = dict(zip("abnm", row))
        for template in OPERATIONS:
            requests.append({"template": template, "messages": [{"role": "x"}], "variables": variables})
            want.append(by_jinja2(template, variables))
    got = chat.rendered(requests)
    assert [(request["template"], request["variables"], text, other)
            for request, text, other in zip(requests, want, got) if text != other[0]] == []


def test_lines_that_are_no_chats_are_errors():
    for request, message in (({}, "are needed"), ({"template": 1, "messages": []}, '"template" is not known'),
                             ({"template": "x", "messages": [1]}, "a message is an object"),
                             ({"template": "x", "messages": [{}], "tool": []}, '"tool" is not known')):
        ((text, why),) = chat.rendered([request])
        assert text is None and message in why


#===---- What an export keeps -----------------------------------------------------------------------===#

@pytest.fixture
def tokenizer():
    backend = Tokenizer(models.WordLevel({"a": 0, "<s>": 1, "</s>": 2}, unk_token="a"))
    return PreTrainedTokenizerFast(tokenizer_object=backend, bos_token="<s>", eos_token="</s>")


GOOD = "{{ bos_token }}{% for m in messages %}[{{ m.role }}] {{ m.content }}{{ eos_token }}{% endfor %}"


def test_templates_that_agree_are_kept(tokenizer, recwarn):
    assert chat.templates(tokenizer) == {}
    tokenizer.chat_template = GOOD
    assert chat.templates(tokenizer) == {"default": GOOD}
    tokenizer.chat_template = {"default": GOOD, "tool_use": GOOD + "!"}
    assert chat.templates(tokenizer) == {"default": GOOD, "tool_use": GOOD + "!"}
    # What raises on both sides agrees, and what writes the time.
    tokenizer.chat_template = "{{ raise_exception('no') if tools else strftime_now('%d %b %H:%M') }}"
    assert list(chat.templates(tokenizer)) == ["default"]
    assert not recwarn.list


def test_a_template_that_differs_is_left_out_and_said(tokenizer):
    tokenizer.chat_template = {"default": GOOD, "odd": GOOD + "{% if tools %}{{ tools | pprint }}{% endif %}"}
    with pytest.warns(UserWarning) as said:
        assert chat.templates(tokenizer) == {"default": GOOD}
    (text,) = [str(warning.message) for warning in said]
    assert text.startswith("the chat template 'odd' is left out") and "tools: transformers writes" in text
    assert "weir-run refuses (chat template: line 1: the filter 'pprint' is not supported" in text


def test_without_weirc_no_template_is_kept(tokenizer, monkeypatch, tmp_path):
    tokenizer.chat_template = GOOD
    monkeypatch.setenv("WEIR_BUILD", str(tmp_path))
    with pytest.warns(UserWarning, match="weirc is not built"):
        assert chat.templates(tokenizer) == {}
