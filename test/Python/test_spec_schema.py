# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The JSON schema against the specs of the tests, the examples and the reference.

Every entry of the error tests says by its CHECK lines what the compiler finds
wrong with it. The schema has to refuse the same entries, except where it takes
more than the entry's own shape to tell, and has to accept all others.
"""

import json
import pathlib
import re

import jsonschema
import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCHEMA = json.loads((ROOT / "docs/spec.schema.json").read_text())
SPECS = ROOT / "test/Spec"


class Loader(yaml.SafeLoader):
    """YAML 1.2 (core), as editors read it: `on` is text, 010 is a number."""


Loader.yaml_implicit_resolvers = {}
for tag, pattern, first in [
    ("bool", r"true|false", "tf"),
    ("null", r"~|null|", ["~", "n", ""]),
    ("int", r"[-+]?[0-9]+", "-+0123456789"),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", "-+.0123456789"),
    ("float", r"[-+]?\.inf|\.nan", "-+."),
]:
    Loader.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(f"^(?:{pattern})$"), list(first))


def load_mapping(loader, node):
    """A key `null` is the word, as JSON has it."""
    return {"null" if key.value == "null" else loader.construct_object(key, deep=True): loader.construct_object(value, deep=True)
            for key, value in node.value}


Loader.add_constructor("tag:yaml.org,2002:map", load_mapping)


def load_float(loader, node):
    text = node.value.lower()
    return float(text.replace(".inf", "inf").replace(".nan", "nan"))


Loader.add_constructor("tag:yaml.org,2002:float", load_float)
Loader.add_constructor("tag:yaml.org,2002:int", lambda loader, node: int(node.value))


def is_number(checker, value):
    # JSON has no infinity and no NaN.
    return (
        isinstance(value, (int, float))
        and not isinstance(value, bool)
        and value == value
        and abs(value) != float("inf")
    )


Validator = jsonschema.validators.extend(
    jsonschema.Draft7Validator,
    type_checker=jsonschema.Draft7Validator.TYPE_CHECKER.redefine("number", is_number),
)


def load(text):
    return yaml.load(text, Loader)


def problems(spec, definition=None):
    schema = SCHEMA
    if definition:
        schema = {"$ref": f"#/definitions/{definition}", "definitions": SCHEMA["definitions"]}
    return [error.message for error in Validator(schema).iter_errors(spec)]


def docs_blocks(info):
    text = (ROOT / "docs/spec.md").read_text()
    return re.findall(rf"^```{info}\n(.*?)^```", text, re.M | re.S)


def right_specs():
    for path in sorted(SPECS.glob("*.yaml")):
        if not path.name.startswith(("errors-", "invalid-")):
            yield pytest.param(path.read_text(), id=path.name)
    for path in sorted((ROOT / "examples").rglob("*.yaml")):
        if re.search(r"^weir:", path.read_text(), re.M):
            yield pytest.param(path.read_text(), id=str(path.relative_to(ROOT)))
    for i, block in enumerate(docs_blocks("yaml")):
        frame = ""
        for key, value in [("weir", "1"), ("model", "{program: a.pt2}"), ("policies", "{}")]:
            if not re.search(rf"^{key}:", block, re.M):
                frame += f"{key}: {value}\n"
        yield pytest.param(frame + block, id=f"docs/spec.md, block {i}")


def test_is_a_schema():
    jsonschema.Draft7Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("text", list(right_specs()))
def test_accepts_what_is_right(text):
    assert problems(load(text)) == []


# What the compiler finds only by looking at several places, by the size of a
# number, or by how something is written.
BEYOND_SHAPE = [
    r"records a gate itself",
    r"unknown (dictionary|knob|list of features|match|graph|policy) ",
    r"the dictionary '.*' (has no|covers)",
    r"the match '.*' is about the dictionary",
    r"there are several dictionaries",
    r"no section 'dictionaries'",
    r"is (named|selected) twice",
    r"runs backwards",
    r"the default is outside of the range",
    r"is greater than 'max'",
    r"is greater than 'to'",
    r"leaves no token",
    r"the match '.*' (compares|does not reach)",
    r"'width' is at most",
    r"says something of 'cosine' and 'pearson' only",
    r"a weight is that of a node of a graph",
    r"effects are measured on a text",
    r"the graph '.*' is made of itself",
    r"what random directions reach is told in cosines",
    r"no path joins two features of one site",
    r"the match '.*' has no site",
    r"leaves nothing: no token is behind",
    r"would open and close a span",
    r"has no strength: .ramp. and .decay.",
    r"is excluded by",
    r"no token is generated at position 0",
    r"no marker stands in front of position 0",
    r"must contain \{layer\}: the dictionary covers",
    r"too small for a 32-bit float",
    r"has too many digits",
    r"begins with a zero",
    r"the strength grows",
    r"no number is above this",
    r"which is computed before",
    r"records a gate itself",
    r"is computed before",
    r"a transfer pairs",
    r"on both sides of a transfer",
    r"both say what",
    r"graph's layers do not contain",
    r"must be a whole number, found '1e3'",
    r"does not belong to the form",
    r"'substitute' needs the key '(match|quantile)'",
    r"the match '.*' (does not give|folds mean|is not one of|has to cover)",
    r"the dictionary '.*' has to cover",
    r"layer 0 has no layer before it",
    r"can depend on what comes before it only",
    r"both replace layer",
    r"is no name: a name",  # a matter of the mapping around the entry
]
SECTIONS = {
    "dictionaries": "dictionary",
    "features": "featureList",
    "knobs": "knob",
    "policies": "policy",
    "matches": "match",
    "graphs": "graph",
}


def entries():
    """Entries of the error tests with the errors that the compiler gives them."""
    for path in sorted(SPECS.glob("errors-*.yaml")):
        if path.name == "errors-yaml.yaml":  # no YAML that other readers accept
            continue
        text = path.read_text()
        lines = text.split("\n")
        errors = {}
        for number, line in enumerate(lines, 1):
            if found := re.match(r" *# CHECK: \[\[@LINE([-+]\d+)\]\]:\d+: error: (.*)", line):
                errors.setdefault(number + int(found[1]), []).append(found[2])
        root = yaml.compose(text, Loader)
        whole = load(text)
        for key, value in root.value:
            if key.value not in SECTIONS or not isinstance(value, yaml.MappingNode):
                continue
            for name, entry in value.value:
                first = name.start_mark.line + 1
                # A block ends where the next one begins.
                before_end = lines[entry.end_mark.line][: entry.end_mark.column]
                last = max(first, entry.end_mark.line + bool(before_end.strip()))
                said = [text for line in range(first, last + 1) for text in errors.get(line, [])]
                yield pytest.param(
                    SECTIONS[key.value],
                    whole[key.value][load(name.value) if not name.style else name.value],
                    said,
                    id=f"{path.stem}: {key.value}.{name.value}",
                )


@pytest.mark.parametrize("definition, entry, said", list(entries()))
def test_agrees_with_the_compiler(definition, entry, said):
    of_shape = [text for text in said if not any(re.search(beyond, text) for beyond in BEYOND_SHAPE)]
    found = problems(entry, definition)
    if of_shape:
        assert found, f"the schema accepts what the compiler refuses: {of_shape}"
    else:
        assert not found


def test_every_exception_is_needed():
    said = [text for entry in entries() for text in entry.values[2]]
    for beyond in BEYOND_SHAPE:
        assert any(re.search(beyond, text) for text in said), beyond


@pytest.mark.parametrize(
    "text",
    [
        "{weir: 2, model: {program: a}, policies: {}}",
        "{weir: '1', model: {program: a}, policies: {}}",
        "{model: {program: a}, policies: {}}",
        "{weir: 1, policies: {}}",
        "{weir: 1, model: {program: a}}",
        "{weir: 1, model: {program: ''}, policies: {}}",
        "{weir: 1, model: {progam: a}, policies: {}}",
        "{weir: 1, model: {program: a, sites: automatic}, policies: {}}",
        "{weir: 1, model: {program: a, sites: {}}, policies: {}}",
        "{weir: 1, model: {program: a, sites: {res: b}}, policies: {}}",
        "{weir: 1, model: {program: a, sites: {rse: 'b{layer}'}}, policies: {}}",
        "{weir: 1, model: {program: a, sites: {res: 'b{layer}{site}'}}, policies: {}}",
        "{weir: 1, model: {program: a}, policies: {}, polices: {}}",
        "{weir: 1, model: {program: a}, policies: []}",
        "{weir: 1, model: {program: a}, policies: {}, plans: {}}",
        "{weir: 1, model: {program: a}, policies: {}, plans: {p: q}}",
        "{weir: 1, model: {program: a}, policies: {}, plans: {p: [q, q]}}",
        "{weir: 1, model: {program: a}, policies: {}, plans: {'p q': []}}",
        "{weir: 1, model: {program: a}, policies: {}, knobs: {9lives: {default: 1}}}",
    ],
)
def test_refuses_what_is_wrong_around_entries(text):
    assert problems(load(text))
