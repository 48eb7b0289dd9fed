"""The protocol list: well formed, complete, and as the matrix of the specification has it."""

from __future__ import annotations

from db.vocabularies import SignalAction, SignalValidity, SignalValue
from ingest.signals.protocols import protocol_list
from ingest.signals.record import Source

_SOURCE = Source(carrier="test", raw=b"")


def test_statements_speak_only_of_what_their_protocol_could_restrict() -> None:
    """Else an unreadable carrier would leave something open that it can forbid."""
    for name, protocol in protocol_list().protocols.items():
        spoken = {action for reading in protocol.statements.values() for action in reading}
        assert spoken <= set(protocol.speaks_of), name


def test_statements_are_written_as_they_are_looked_up() -> None:
    for protocol in protocol_list().protocols.values():
        for text in protocol.statements:
            assert protocol.reading(f" {text.upper()} ") is protocol.statements[text]


def test_only_robots_and_data_mining_speak_of_fetching() -> None:
    speaking = {
        name for name, each in protocol_list().protocols.items() if SignalAction.ACQUIRE in each.speaks_of
    }
    assert speaking == {"robots", "plus", "media"}


def test_constrained_is_a_denial() -> None:
    cawg = protocol_list()["cawg"]
    for text, reading in cawg.statements.items():
        if text.endswith("=constrained"):
            assert set(reading.values()) == {SignalValue.DENY}, text


def test_an_unreadable_signal_is_conditional_in_all_it_could_restrict() -> None:
    for name, protocol in protocol_list().protocols.items():
        signal = protocol.unreadable(_SOURCE, "broken")
        assert signal.validity is SignalValidity.INVALID
        assert dict(signal.actions) == dict.fromkeys(protocol.speaks_of, SignalValue.CONDITIONAL), name


def test_what_is_known_of_an_unreadable_signal_counts_only_as_denial() -> None:
    robots = protocol_list()["robots"]
    assert robots.unreadable(_SOURCE, "cut", known=robots.statements["allow"]).actions == {
        SignalAction.ACQUIRE: SignalValue.CONDITIONAL
    }
    assert robots.unreadable(_SOURCE, "cut", known=robots.statements["disallow"]).actions == {
        SignalAction.ACQUIRE: SignalValue.DENY
    }


def test_versions_fit_their_column() -> None:
    assert all(
        len(each.version) <= 64 and len(name) <= 64 for name, each in protocol_list().protocols.items()
    )


def test_what_is_not_read_is_said() -> None:
    assert {each.title for each in protocol_list().not_read} >= {"TDM·AI", "RSL-MEDIA Human Consent Standard"}
