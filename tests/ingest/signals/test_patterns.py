"""Path patterns of RFC 9309: the RFC's examples, a plain oracle, and patterns made to be slow."""

from __future__ import annotations

import fnmatch
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.signals.patterns import parse_pattern, path_of


@pytest.mark.parametrize(
    ("pattern", "url", "is_match"),
    [
        ("/", "https://example.com", True),
        ("/fish", "https://example.com/fishheads/yummy.html", True),
        ("/fish", "https://example.com/Fish.asp", False),
        ("/fish/", "https://example.com/fish", False),
        ("/*.php$", "https://example.com/folder/filename.php", True),
        ("/*.php$", "https://example.com/filename.php?parameters", False),
        ("/fish*.php", "https://example.com/fishheads/catfish.php?parameters", True),
        ("/path/file-with-a-%2A.html", "https://example.com/path/file-with-a-*.html", True),
        ("/path/foo-%24", "https://example.com/path/foo-$", True),
        ("/a$b", "https://example.com/a$b", True),
        ("/foo/bar?baz=quz", "https://example.com/foo/bar?baz=quz", True),
        ("/foo/bar/ツ", "https://example.com/foo/bar/%E3%83%84", True),
        ("/foo/bar/%E3%83%84", "https://example.com/foo/bar/ツ", True),
        ("/foo/bar/%62%61%7A", "https://example.com/foo/bar/baz", True),
        ("/a%2fb", "https://example.com/a/b", False),
        ("/a%2fb", "https://example.com/a%2Fb", True),
        ("/%zz", "https://example.com/%zz", True),
        ("clips/", "https://example.com/clips/1", True),
        ("*.mp4", "https://example.com/clips/1.mp4", True),
        ("/*", "https://example.com/anything", True),
        ("/x*$", "https://example.com/x/y", True),
        ("/ab*ba$", "https://example.com/aba", False),
    ],
)
def test_patterns_match_as_in_the_rfc(pattern: str, url: str, is_match: bool) -> None:
    assert parse_pattern(pattern).matches(path_of(url)) is is_match


@given(st.text("ab*", max_size=8), st.booleans(), st.text("ab", max_size=10))
def test_patterns_match_as_a_backtracking_matcher_does(body: str, is_anchored: bool, path: str) -> None:
    pattern = parse_pattern(f"/{body}{'$' if is_anchored else ''}")
    oracle = fnmatch.translate(f"/{body}" if is_anchored else f"/{body}*")
    assert pattern.matches(f"/{path}") is (re.match(oracle, f"/{path}") is not None)


def test_a_pattern_of_many_stars_is_matched_without_going_back() -> None:
    pattern = parse_pattern("/" + "*a" * 100_000 + "*b")
    assert not pattern.matches("/" + "a" * 100_000)


@given(st.text(max_size=30))
def test_any_text_is_a_pattern(text: str) -> None:
    parse_pattern(text).matches(path_of("https://example.com/clips/1.mp4"))
