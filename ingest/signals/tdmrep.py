"""TDM Reservation Protocol (Final Community Group Report of 10 May 2024): four carriers, later ones override.

The order is `/.well-known/tdmrep.json`, header, HTML `meta`, PDF, EPUB or media metadata. A carrier without the
property leaves what was said before as it is. A value other than 0 or 1 means that nothing is declared.
"""

from __future__ import annotations

import io
import json
import lzma
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ingest.signals.errors import UnreadableError
from ingest.signals.patterns import parse_pattern
from ingest.signals.protocols import protocol_list
from ingest.signals.record import Signal, Source
from ingest.signals.safe_xml import local_name, namespace, parse_xml
from ingest.signals.text import quoted, text_of

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

MAX_FILE_BYTES = 1 << 20
"""Of tdmrep.json."""
MAX_RULES = 10_000
_NAMESPACE = "http://www.w3.org/ns/tdmrep"
_MAX_PACKAGE_DOCUMENTS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """What one carrier says."""

    value: str
    """`1`, `0`, or `unset` for any other value."""
    policy: str
    """Address of the policy; empty if none is named."""
    source: Source


def choice_of(value: object) -> str:
    """Return `1`, `0` or `unset`. Numbers written as text count, truth values do not."""
    if isinstance(value, bool):
        return "unset"
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = str(value).strip() if isinstance(value, str | int) else ""
    return text if text in {"0", "1"} else "unset"


def stricter_choice(values: Sequence[object]) -> str:
    """Return what several values in one carrier come to: a reservation before none."""
    choices = {choice_of(value) for value in values}
    return next((choice for choice in ("1", "unset", "0") if choice in choices), "unset")


def reservation_in_file(source: Source, path: str) -> Reservation | None:
    """Return the first rule of a tdmrep.json that covers `path`; None if none does.

    Raises `UnreadableError` if the file is not such a file.
    """
    for rule in _rules(source.raw):
        location = rule.get("location")
        if not isinstance(location, str):
            raise UnreadableError("a rule of tdmrep.json has no location")
        if parse_pattern(location).matches(path):
            policy = rule.get("tdm-policy")
            return Reservation(
                value=choice_of(rule.get("tdm-reservation")),
                policy=policy if isinstance(policy, str) else "",
                source=source,
            )
    return None


def _rules(raw: bytes) -> list[dict[str, Any]]:
    if len(raw) > MAX_FILE_BYTES:
        raise UnreadableError(f"tdmrep.json has {len(raw)} bytes; more than {MAX_FILE_BYTES} are not read")
    try:
        rules = json.loads(text_of(raw))
    except (ValueError, RecursionError) as exc:
        raise UnreadableError(f"tdmrep.json is not JSON: {exc}") from exc
    if not isinstance(rules, list) or not all(isinstance(rule, dict) for rule in rules):
        raise UnreadableError("tdmrep.json is not a list of objects")
    if len(rules) > MAX_RULES:
        raise UnreadableError(f"tdmrep.json has {len(rules)} rules; more than {MAX_RULES} are not read")
    return rules


def reservation_of_values(
    values: Sequence[str], policies: Sequence[str], source: Source
) -> Reservation | None:
    """Return what headers or `meta` elements say; None where none has the property."""
    if not values:
        return None
    return Reservation(
        value=stricter_choice(values), policy=policies[0].strip() if policies else "", source=source
    )


def reservation_in_xmp(root: Element, source: Source) -> Reservation | None:
    """Return what the properties `tdm:reservation` and `tdm:policy` of XMP say."""
    found: dict[str, list[str]] = {"reservation": [], "policy": []}
    for element in root.iter():
        if namespace(element.tag).startswith(_NAMESPACE) and local_name(element.tag) in found:
            found[local_name(element.tag)].append("".join(element.itertext()).strip())
        for name, value in element.attrib.items():
            if namespace(name).startswith(_NAMESPACE) and local_name(name) in found:
                found[local_name(name)].append(value)
    return reservation_of_values(found["reservation"], found["policy"], source)


def reservation_in_epub(source: Source) -> Reservation | None:
    """Return what the package document of an EPUB says, in the way of EPUB 2 or of EPUB 3.

    Raises `UnreadableError` if there is a package document that cannot be read.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(source.raw)) as package:
            names = [name for name in package.namelist() if name.lower().endswith(".opf")]
            if len(names) > _MAX_PACKAGE_DOCUMENTS:
                raise UnreadableError(f"the EPUB has {len(names)} package documents")
            documents = [_member(package, name) for name in names]
    except (
        zipfile.BadZipFile,
        zlib.error,
        lzma.LZMAError,
        OSError,
        RuntimeError,
        ValueError,
        EOFError,
    ) as exc:
        raise UnreadableError(f"the EPUB cannot be opened: {exc}") from exc
    found: dict[str, list[str]] = {"tdm:reservation": [], "tdm:policy": []}
    for element in (element for document in documents for element in parse_xml(document).iter()):
        name = element.get("property") or element.get("name") or ""
        if local_name(element.tag) == "meta" and name in found:
            found[name].append(element.get("content") or "".join(element.itertext()).strip())
    return reservation_of_values(found["tdm:reservation"], found["tdm:policy"], source)


def _member(package: zipfile.ZipFile, name: str) -> bytes:
    """Return one file of a package, read no further than the limit: its stated size may be a lie."""
    with package.open(name) as file:
        data = file.read(MAX_FILE_BYTES + 1)
    if len(data) > MAX_FILE_BYTES:
        raise UnreadableError(f"{quoted(name)} in the EPUB is longer than {MAX_FILE_BYTES} bytes")
    return data


def effective_signal(reservations: Sequence[Reservation]) -> Signal | None:
    """Return the signal of the last carrier that has the property; `reservations` are in their order."""
    if not reservations:
        return None
    declared = [reservation for reservation in reservations if reservation.value != "unset"]
    last = (declared or reservations)[-1]
    protocol = protocol_list()["tdmrep"]
    detail = f"tdm-reservation {last.value}"
    policy = next((each.policy for each in reversed(reservations) if each.policy), "")
    if policy and last.value != "0":
        detail += f", policy {quoted(policy, 200)}"
    overridden = [each for each in reservations if each is not last]
    if overridden:
        said = ", ".join(f"{each.source.carrier}: {each.value}" for each in overridden)
        detail += f"; overrides {said}"
    return protocol.signal(last.source, protocol.statements[last.value], detail)


def policy_address(reservations: Sequence[Reservation]) -> str:
    """Return the address of the policy in force; empty where there is none or nothing is reserved."""
    declared = [each.value for each in reservations if each.value != "unset"]
    if not declared or declared[-1] == "0":
        return ""
    return next((each.policy for each in reversed(reservations) if each.policy), "")
