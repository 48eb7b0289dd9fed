"""The YAML subset that policies are written in."""

from __future__ import annotations

import pytest

from governance.errors import PolicyError
from governance.policy.strict_yaml import MAX_BYTES, load_strict_yaml


def load(text: str) -> object:
    return load_strict_yaml(text.encode(), "p.yaml")


def test_values_are_what_they_look_like() -> None:
    text = (
        "a: no\nb: NO\nc: yes\nd: true\ne: 12\nf: -1.5\ng: null\nh: 'true'\ni: 012\nj: 0x10\nk: 2026-01-01\n"
        "l: >-\n  x\n  y\nm: 1_0\nn:\no: [on, 1e3]\n"
    )
    assert load(text) == {
        "a": "no", "b": "NO", "c": "yes", "d": True, "e": 12, "f": -1.5, "g": None, "h": "true", "i": "012",
        "j": "0x10", "k": "2026-01-01", "l": "x y", "m": "1_0", "n": None, "o": ["on", "1e3"],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty"),
        ("# only a comment\n", "empty"),
        ("a: &x 1\nb: *x\n", "line 1: an anchor"),
        ("a: 1\n<<: *x\n", "line 2: an anchor"),
        ("a: !!python/object/apply:os.system ['x']\n", "line 1: a tag"),
        ("a: !!str 1\n", "a tag"),
        ("a: 1\nb: 2\na: 3\n", "line 3: the key 'a' stands here twice"),
        ("? [a]\n: 1\n", "a key must be a text"),
        ("a: 1\n---\nb: 2\n", "a second document"),
        ("[" * 200 + "]" * 200, "nesting deeper"),
        ("a:\n" + "".join("  " * i + "a:\n" for i in range(1, 30)), "nesting deeper"),
        ("a: [1\n", "line"),
        ("a: b: c\n", "line 1"),
        ("a: \x07\n", "not YAML"),
        ("\tb: 1\n", "line 1"),
    ],
)
def test_everything_else_is_refused_with_file_and_line(text: str, words: str) -> None:
    with pytest.raises(PolicyError) as caught:
        load(text)
    assert "p.yaml" in str(caught.value)
    assert words in str(caught.value)


def test_an_alias_bomb_is_refused_before_it_grows() -> None:
    bomb = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"{chr(98 + i)}: &{chr(98 + i)} [{', '.join(['*' + chr(97 + i)] * 9)}]\n" for i in range(12)
    )
    with pytest.raises(PolicyError, match="anchor"):
        load(bomb)


def test_size_and_encoding_are_limited() -> None:
    with pytest.raises(PolicyError, match="at most"):
        load_strict_yaml(b"#" * (MAX_BYTES + 1), "p.yaml")
    with pytest.raises(PolicyError, match="UTF-8"):
        load_strict_yaml(b"a: \xff", "p.yaml")
    assert load_strict_yaml("\ufeffa: ü".encode(), "p.yaml") == {"a": "ü"}
