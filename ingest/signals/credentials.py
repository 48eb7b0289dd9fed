"""Training and data mining assertions of Content Credentials: CAWG 1.1 and the C2PA assertion it came from. Pure.

Reads the assertions as JSON; who read them from the file says whether the manifest was valid. `constrained` is
`notAllowed` until its conditions are met, and whether they are is a matter of grants. The specification names the
conditions in two ways, so both `constraint_info` and `constraints_info` are read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from ingest.signals.combine import merged
from ingest.signals.protocols import Protocol, Reading, protocol_list
from ingest.signals.record import Signal, Source, numbered
from ingest.signals.text import quoted

_LABEL = re.compile(r"(cawg|c2pa)\.training-mining(\.v[0-9]+)?(__[0-9]+)?")
_FAMILIES = ("cawg.", "c2pa.")
_CONSTRAINTS = ("constraint_info", "constraints_info")
_MAX_ENTRIES = 1000


def signals_of_assertions(
    assertions: Sequence[Mapping[str, Any]], *, is_valid: bool, declaring_party: str = "not stated"
) -> list[Signal]:
    """Return a signal for each training and data mining assertion among `assertions`.

    Each assertion is a mapping with `label` and `data`, as c2pa reports them. Where the manifest is not valid, its
    denials count and everything else is conditional.
    """
    return numbered(
        _signal(assertion, is_valid=is_valid, declaring_party=declaring_party)
        for assertion in assertions
        if _LABEL.fullmatch(str(assertion.get("label", "")))
    )


def _signal(assertion: Mapping[str, Any], *, is_valid: bool, declaring_party: str) -> Signal:
    protocol = protocol_list()["cawg"]
    source = Source(
        carrier=f"assertion {assertion['label']}",
        raw=json.dumps(assertion.get("data"), sort_keys=True, default=str).encode(),
        declaring_party=declaring_party,
    )
    data = assertion.get("data")
    entries = data.get("entries") if isinstance(data, Mapping) else None
    if not isinstance(entries, Mapping) or len(entries) > _MAX_ENTRIES:
        return protocol.unreadable(source, "the assertion has no entries, or far too many")
    readings: list[Reading] = []
    said: list[str] = []
    for key, entry in entries.items():
        _read_entry(protocol, str(key), entry, readings, said)
    detail = "; ".join(said) or "no entries"
    if not is_valid:
        return protocol.unverifiable(source, merged(*readings), f"the manifest is not valid; {detail}")
    return protocol.signal(source, merged(*readings), detail)


def _read_entry(
    protocol: Protocol, key: str, entry: object, readings: list[Reading], said: list[str]
) -> None:
    category = next((key.removeprefix(family) for family in _FAMILIES if key.startswith(family)), key)
    use = entry.get("use") if isinstance(entry, Mapping) else None
    actions = protocol.subject(category)
    if not actions:
        said.append(f"{quoted(key)} is not in the protocol list")
        return
    reading = protocol.reading(f"{category}={use}") if isinstance(use, str) else None
    readings.append(protocol.conditional(actions) if reading is None else reading)
    said.append(f"{category} {use if reading is not None else quoted(str(use))}{_constraints(entry)}")


def _constraints(entry: object) -> str:
    if not isinstance(entry, Mapping):
        return ""
    stated = [quoted(str(entry[name])) for name in _CONSTRAINTS if entry.get(name)]
    return f" ({', '.join(stated)})" if stated else ""


def unreadable_credentials(why: str) -> Signal:
    """Return the signal of Content Credentials that are there and cannot be read: they may say anything."""
    return protocol_list()["cawg"].unreadable(Source(carrier="content credentials", raw=b""), why)
