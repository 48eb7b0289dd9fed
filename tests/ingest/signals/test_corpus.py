"""The conformance corpus: what every sample of every protocol says, real ones and hostile ones."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from db.vocabularies import SignalAction, SignalValidity, SignalValue
from ingest.signals.captures import read_captures
from ingest.signals.combine import combine
from ingest.signals.intake import read_file_signals
from ingest.signals.protocols import protocol_list
from ingest.signals.record import Signal
from ingest.signals.sites import PRODUCT_TOKEN, signals_for
from tests.ingest.signals.site import CORPUS, CaptureFolder

_FILES = tomllib.loads((CORPUS / "files.toml").read_text(encoding="utf-8"))
_SITES = tomllib.loads((CORPUS / "sites.toml").read_text(encoding="utf-8"))
_ALL = _FILES.pop("all")["actions"]
_DEFAULT_URL = _SITES.pop("defaults")["url"]


def _expected(case: Mapping[str, Any]) -> dict[SignalAction, SignalValue]:
    actions = dict.fromkeys(SignalAction, SignalValue.UNKNOWN)
    for value in (SignalValue.ALLOW, SignalValue.CONDITIONAL, SignalValue.DENY):
        names = case.get(value.value, [])
        for name in _ALL if names == ["all"] else names:
            assert actions[SignalAction(name)] is SignalValue.UNKNOWN, "the case gives an action two values"
            actions[SignalAction(name)] = value
    return actions


def _check(signals: Iterable[Signal], case: Mapping[str, Any]) -> None:
    signals = list(signals)
    assert combine(signals) == _expected(case), signals
    invalid = {signal.protocol for signal in signals if signal.validity is not SignalValidity.VALID}
    assert invalid == set(case.get("invalid", [])), signals
    assert len({(signal.protocol, signal.carrier) for signal in signals}) == len(signals)


@pytest.mark.parametrize("name", _FILES)
def test_packets_say_what_they_say(name: str) -> None:
    _check(read_file_signals(CORPUS / "xmp" / f"{name}.xmp"), _FILES[name])


@pytest.mark.parametrize("name", _SITES)
def test_sites_say_what_they_say(name: str, tmp_path: Path) -> None:
    case = _SITES[name]
    url = case.get("url", _DEFAULT_URL)
    site = CaptureFolder(tmp_path / "site")
    for path, sample in case.get("files", {}).items():
        site.add_sample(path, sample, status=case.get("status", {}).get(path, 200))
    if "page" in case:
        headers = {"content-type": "text/html"} | case.get("headers", {})
        site.add(url, (CORPUS / case["page"]).read_bytes(), headers=headers)
    else:
        site.add(url, None, headers={"content-type": "video/mp4"} | case.get("headers", {}))
    agent = case.get("agent", PRODUCT_TOKEN)
    _check(signals_for(url, read_captures(site.folder), product_token=agent), case)


def test_every_sample_is_used() -> None:
    samples = {
        str(path.relative_to(CORPUS))
        for path in CORPUS.rglob("*")
        if path.suffix != ".toml" and path.is_file()
    }
    used = {f"xmp/{name}.xmp" for name in _FILES}
    used |= {sample for case in _SITES.values() for sample in case.get("files", {}).values()}
    used |= {case["page"] for case in _SITES.values() if "page" in case}
    assert {sample for sample in samples - used if not sample.startswith("epub/")} == set()


def test_every_value_of_data_mining_has_a_sample() -> None:
    values = {text for text in protocol_list()["plus"].statements if text.startswith("dmi-")}
    written = "\n".join(
        path.read_text(encoding="utf-8", errors="replace") for path in (CORPUS / "xmp").iterdir()
    )
    assert {value for value in values if f"/{value.upper()}<" not in written} == set()
