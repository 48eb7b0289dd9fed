"""The part of CEL that policy conditions may use: parsed and type-checked here, evaluated elsewhere.

CEL (cel-spec, language definition 2024) is typed at run time: `grant.comercial_use == "no"` fails only when
it is reached, and `grant.commercial_use == "No"` is quietly false for ever. In a rule that forbids, both are
a hole. So conditions are checked against the fact schema before any engine sees them, and kept to what can be
read aloud:

    true  false  "text"  'text'  12  -3  1.5  ["a", "b"]  grant.in_force
    !  &&  ||  ==  !=  <  <=  >  >=  in  ( )
    size(list or text)   list.exists(name, condition)   text.startsWith / endsWith / contains("text")

Everything in this subset means the same in CEL. Left out on purpose: `all` (true of an empty list, so that
what was never stated would pass), `map` and `filter`, regular expressions, arithmetic, `has` and indexing
(every fact is always present), escapes in texts.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from governance.errors import PolicyError
from governance.facts.facts import FactType

MAX_SOURCE_LENGTH = 2000
MAX_DEPTH = 24
MAX_NESTED_MACROS = 2

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<float>\d{1,15}\.\d{1,15}(?![\w.])) | (?P<int>\d{1,15}(?![\w.])) | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
      | (?P<text>"[^"\\\n\r]*"(?!") | '[^'\\\n\r]*'(?!')) | (?P<mark>&&|\|\||[=!<>]=|[()\[\],.!<>-])
    )""",
    re.VERBOSE | re.ASCII,
)
_COMPARISONS = frozenset({"==", "!=", "<", "<=", ">", ">="})
_NUMBERS = frozenset({"int", "double"})
_TEXT_METHODS = frozenset({"startsWith", "endsWith", "contains"})
_RESERVED = frozenset(
    "as break const continue else false for function has if import in let loop map filter exists all exists_one "
    "null package namespace return size true type dyn var void while".split()
)

_BOOL = FactType("bool")
_INT = FactType("int")


class ConditionError(PolicyError):
    """A condition is outside the language, ill-typed, too much work, or failed while it was evaluated."""


@dataclass(frozen=True, slots=True)
class Node:
    """A checked part of a condition: its type and what evaluating it may cost."""

    type: FactType
    parts: tuple[Node, ...] = ()
    fact: str = ""
    """The dotted name, if this is a fact."""
    literals: tuple[str, ...] | None = None
    """The texts, if this is a literal text or a list of them."""
    repeats_over: Node | None = None
    """The list that the parts are evaluated for each item of."""

    def steps(self, sizes: Mapping[str, int]) -> int:
        """Return an upper bound of the steps of one evaluation; `sizes` are those of list and text facts."""
        own = 1 + sizes.get(self.fact, 0) + len(self.literals or ())
        inner = sum(part.steps(sizes) for part in self.parts)
        if self.repeats_over is None:
            return own + inner
        over = self.repeats_over
        num_items = sizes.get(over.fact, 0) if over.fact else len(over.literals or ())
        return own + over.steps(sizes) + num_items * inner


def check_condition(source: str, facts: Mapping[str, FactType]) -> Node:
    """Parse `source` and check every name and type in it against `facts`.

    Raises `ConditionError` with the column of the first mistake.
    """
    if len(source) > MAX_SOURCE_LENGTH:
        raise ConditionError(
            f"condition has {len(source)} characters, at most {MAX_SOURCE_LENGTH} are allowed"
        )
    return _Parser(source, facts).condition()


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    column: int


def _tokens(source: str) -> Iterator[_Token]:
    position = 0
    end = len(source.rstrip())
    while position < end:
        match = _TOKEN.match(source, position)
        if match is None or match.lastgroup is None:
            rest = source[position:].lstrip()
            raise ConditionError(
                f"column {end - len(rest.rstrip()) + 1}: {rest[:12]!r} is not part of the language"
            )
        yield _Token(match.lastgroup, match[match.lastgroup], match.start(match.lastgroup) + 1)
        position = match.end()
    yield _Token("end", "the end", end + 1)


class _Parser:
    """Recursive descent, one method for each level of binding strength, no deeper than `MAX_DEPTH`."""

    def __init__(self, source: str, facts: Mapping[str, FactType]) -> None:
        self._tokens = list(_tokens(source))
        self._position = 0
        self._depth = 0
        self._facts = facts
        self._variables: dict[str, FactType] = {}

    def condition(self) -> Node:
        node = self._either()
        if self._token.kind != "end":
            raise self._error(f"unexpected {self._token.text!r}")
        self._require(node, "bool")
        return node

    @property
    def _token(self) -> _Token:
        return self._tokens[self._position]

    def _error(self, problem: str, hint: str | None = None) -> ConditionError:
        return ConditionError(f"column {self._token.column}: {problem}", hint=hint)

    def _require(self, node: Node, kind: str) -> None:
        if node.type.kind != kind:
            raise self._error(f"expected a {kind} before this, found a {node.type.kind}")

    def _take(self, text: str) -> bool:
        """Step over the mark or word `text` if it stands here."""
        if self._token.kind in {"mark", "name"} and self._token.text == text:
            self._position += 1
            return True
        return False

    def _expect(self, text: str) -> None:
        if not self._take(text):
            raise self._error(f"expected {text!r}, found {self._token.text!r}")

    def _either(self) -> Node:
        return self._chain("||")

    def _chain(self, mark: str) -> Node:
        parts = [self._chain("&&") if mark == "||" else self._comparison()]
        while self._take(mark):
            self._require(parts[-1], "bool")
            parts.append(self._chain("&&") if mark == "||" else self._comparison())
        if len(parts) == 1:
            return parts[0]
        self._require(parts[-1], "bool")
        return Node(_BOOL, tuple(parts))

    def _comparison(self) -> Node:
        left = self._unary()
        mark = self._token.text if self._token.kind in {"mark", "name"} else ""
        if mark not in _COMPARISONS and mark != "in":
            return left
        self._position += 1
        right = self._unary()
        if mark == "in":
            self._check_membership(left, right)
        else:
            self._check_comparison(left, mark, right)
        return Node(_BOOL, (left, right))

    def _check_comparison(self, left: Node, mark: str, right: Node) -> None:
        kinds = {left.type.kind, right.type.kind}
        if mark in {"==", "!="} and kinds in ({"bool"}, {"text"}):
            self._check_values(left, right)
            self._check_values(right, left)
        elif not kinds <= _NUMBERS:
            raise self._error(f"{left.type.kind} {mark} {right.type.kind} does not make sense")

    def _check_membership(self, item: Node, items: Node) -> None:
        if item.type.kind != "text" or items.type.kind != "list":
            raise self._error(
                f"{item.type.kind} in {items.type.kind} does not make sense: write text in list"
            )
        self._check_values(item, items)
        self._check_values(items, item)

    def _check_values(self, known: Node, other: Node) -> None:
        """Refuse a literal that a fact with a closed vocabulary can never equal."""
        for text in other.literals or ():
            if known.type.values and text not in known.type.values:
                values = ", ".join(known.type.values)
                raise self._error(f"{text!r} before this can never match", hint=f"the values are: {values}")

    def _unary(self) -> Node:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise self._error(f"nesting deeper than {MAX_DEPTH}")
        if self._take("!"):
            node = self._unary()
            self._require(node, "bool")
            node = Node(_BOOL, (node,))
        elif self._take("-"):
            node = self._number()
        else:
            node = self._with_methods(self._primary())
        self._depth -= 1
        return node

    def _number(self) -> Node:
        kind = {"int": "int", "float": "double"}.get(self._token.kind)
        if kind is None:
            raise self._error(f"expected a number, found {self._token.text!r}")
        self._position += 1
        return Node(FactType(kind))

    def _primary(self) -> Node:
        token = self._token
        if token.kind in {"int", "float"}:
            return self._number()
        if token.kind == "text":
            self._position += 1
            return Node(FactType("text"), literals=(token.text[1:-1],))
        if self._take("("):
            node = self._either()
            self._expect(")")
            return node
        if self._take("["):
            return self._list()
        if self._take("true") or self._take("false"):
            return Node(_BOOL)
        if self._take("size"):
            return self._size()
        if token.kind == "name":
            return self._name()
        raise self._error(f"unexpected {token.text!r}")

    def _list(self) -> Node:
        texts: list[str] = []
        while not texts or self._take(","):
            if self._token.kind != "text":
                raise self._error(f"expected a text in the list, found {self._token.text!r}")
            texts.append(self._token.text[1:-1])
            self._position += 1
        self._expect("]")
        return Node(FactType("list"), literals=tuple(texts))

    def _size(self) -> Node:
        self._expect("(")
        node = self._either()
        self._expect(")")
        if node.type.kind not in {"list", "text"}:
            raise self._error(f"size of a {node.type.kind} does not make sense")
        return Node(_INT, (node,))

    def _name(self) -> Node:
        """Read a variable of `exists`, or a fact: the longest dotted name that is not a method call."""
        start = self._position
        name = self._token.text
        self._position += 1
        while self._is_field_next():
            name += "." + self._tokens[self._position + 1].text
            self._position += 2
        if name in self._variables:
            return Node(self._variables[name])
        if name in self._facts:
            return Node(self._facts[name], fact=name)
        self._position = start
        near = difflib.get_close_matches(name, [*self._facts, *self._variables], n=1)
        raise self._error(f"there is no fact {name!r}", hint=f"did you mean {near[0]}?" if near else None)

    def _is_field_next(self) -> bool:
        kinds = [token.text for token in self._tokens[self._position : self._position + 3]]
        is_dotted = len(kinds) == 3 and kinds[0] == "." and self._tokens[self._position + 1].kind == "name"
        return is_dotted and kinds[2] != "("

    def _with_methods(self, node: Node) -> Node:
        while self._take("."):
            method = self._token.text
            self._position += self._token.kind == "name"
            if method == "exists":
                node = self._exists(node)
            elif method in _TEXT_METHODS:
                node = self._text_method(node)
            else:
                hint = (
                    "true of an empty list: write size(x) > 0 && !x.exists(...)" if method == "all" else None
                )
                raise self._error(f"there is no {method!r} in this language", hint=hint)
        return node

    def _text_method(self, node: Node) -> Node:
        self._require(node, "text")
        self._expect("(")
        argument = self._either()
        self._require(argument, "text")
        self._expect(")")
        return Node(_BOOL, (node, argument))

    def _exists(self, items: Node) -> Node:
        self._require(items, "list")
        self._expect("(")
        variable = self._new_variable()
        self._expect(",")
        if len(self._variables) == MAX_NESTED_MACROS:
            raise self._error(f"exists nested more than {MAX_NESTED_MACROS} deep")
        self._variables[variable] = FactType("text", items.type.values)
        body = self._either()
        self._require(body, "bool")
        del self._variables[variable]
        self._expect(")")
        return Node(_BOOL, (body,), repeats_over=items)

    def _new_variable(self) -> str:
        name = self._token.text
        taken = {fact.partition(".")[0] for fact in self._facts} | self._variables.keys() | _RESERVED
        if self._token.kind != "name" or name in taken:
            raise self._error(f"{name!r} cannot be the variable of exists")
        self._position += 1
        return name
