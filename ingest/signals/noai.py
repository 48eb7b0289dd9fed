"""`noai` and `noimageai` in the `X-Robots-Tag` header and in HTML `meta robots`, and ai.txt. Pure.

None of them is a standard. They are honoured because who writes them means one thing only. A crawler's name before
`noai` is passed over: refusing one crawler is no invitation to another.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from ingest.signals.protocols import protocol_list
from ingest.signals.record import Signal, Source
from ingest.signals.robots import parse_robots
from ingest.signals.text import quoted

_SEPARATORS = re.compile(r"[\s,;:]+")


def noai_signal(values: Sequence[str], source: Source) -> Signal | None:
    """Return the refusal in any of `values`; None if there is none."""
    protocol = protocol_list()["noai"]
    for value in values:
        for word in _SEPARATORS.split(value):
            reading = protocol.reading(word)
            if reading is not None:
                return protocol.signal(source, reading, quoted(value))
    return None


def ai_txt_signal(source: Source, path: str, product_token: str) -> Signal | None:
    """Return what an ai.txt says of `path`: robots.txt grammar, with file types as patterns (Spawning).

    Other files go by the same name. One that has no such lines is conditional: it says something about AI, and
    nobody has read it.
    """
    protocol = protocol_list()["ai_txt"]
    robots = parse_robots(source.raw)
    groups = robots.groups_for(product_token)
    if robots.is_page or robots.is_cut or not any(group.rules for group in robots.groups):
        return protocol.unreadable(source, "not in the form of robots.txt, or too long")
    matching = [rule for group in groups for rule in group.rules if rule.pattern.matches(path)]
    # Generators write `Disallow: *.jpg` before `Disallow: /` and `Allow: *.txt`: the refusal counts, however short.
    for is_allowed in (False, True):
        for rule in matching:
            if rule.is_allowed is is_allowed:
                statement = "allow" if is_allowed else "disallow"
                return protocol.signal(source, protocol.statements[statement], quoted(rule.line))
    return None
