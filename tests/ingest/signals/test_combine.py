"""Combining signals: the most restrictive counts, and nothing that was not read becomes a permission."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from db.vocabularies import SignalAction, SignalValidity, SignalValue
from ingest.signals.combine import combine
from ingest.signals.record import MAX_EXCERPT_BYTES, Signal, Source, make_signal, numbered

_RANK = [SignalValue.UNKNOWN, SignalValue.ALLOW, SignalValue.CONDITIONAL, SignalValue.DENY]


def _signal(
    actions: dict[SignalAction, SignalValue],
    validity: SignalValidity = SignalValidity.VALID,
    raw: bytes = b"x",
) -> Signal:
    source = Source(carrier="test", raw=raw)
    return make_signal(
        protocol="plus",
        protocol_version="1",
        source=source,
        actions=actions,
        detail="test",
        validity=validity,
    )


_SIGNALS = st.builds(
    _signal,
    st.dictionaries(st.sampled_from(list(SignalAction)), st.sampled_from(list(SignalValue))),
    st.sampled_from(list(SignalValidity)),
)


def test_silence_is_unknown() -> None:
    assert combine([]) == dict.fromkeys(SignalAction, SignalValue.UNKNOWN)


def test_an_unknown_beside_an_allow_stays_an_allow() -> None:
    signals = [
        _signal({SignalAction.MINE: SignalValue.ALLOW}),
        _signal({SignalAction.MINE: SignalValue.UNKNOWN}),
    ]
    assert combine(signals)[SignalAction.MINE] is SignalValue.ALLOW


def test_a_condition_beats_an_allow_and_a_denial_beats_both() -> None:
    said = [_signal({SignalAction.MINE: value}) for value in (SignalValue.ALLOW, SignalValue.CONDITIONAL)]
    assert combine(said)[SignalAction.MINE] is SignalValue.CONDITIONAL
    said.append(_signal({SignalAction.MINE: SignalValue.DENY}))
    assert combine(said)[SignalAction.MINE] is SignalValue.DENY


def test_an_allow_that_could_not_be_read_or_verified_is_conditional() -> None:
    for validity in (SignalValidity.INVALID, SignalValidity.UNVERIFIABLE):
        said = combine([_signal({SignalAction.MINE: SignalValue.ALLOW}, validity)])
        assert said[SignalAction.MINE] is SignalValue.CONDITIONAL
        assert said[SignalAction.SEARCH] is SignalValue.UNKNOWN


@given(st.lists(_SIGNALS, max_size=6), _SIGNALS)
def test_another_signal_never_makes_anything_more_permissive(signals: list[Signal], another: Signal) -> None:
    before, after = combine(signals), combine([*signals, another])
    for action in SignalAction:
        if before[action] in {SignalValue.CONDITIONAL, SignalValue.DENY}:
            assert _RANK.index(after[action]) >= _RANK.index(before[action])


@given(st.permutations([_signal({SignalAction.MINE: value}) for value in SignalValue]))
def test_order_does_not_matter(signals: list[Signal]) -> None:
    assert combine(signals)[SignalAction.MINE] is SignalValue.DENY


def test_a_signal_keeps_an_excerpt_and_the_digest_of_everything() -> None:
    signal = _signal({}, raw=b"a" * (MAX_EXCERPT_BYTES + 1))
    assert len(signal.raw) == MAX_EXCERPT_BYTES
    assert signal.raw_sha256 != _signal({}, raw=b"a" * MAX_EXCERPT_BYTES).raw_sha256


def test_what_is_recorded_cannot_break_a_terminal_or_a_database() -> None:
    source = Source(carrier="x\0y\u202e", raw=b"", declaring_party="a\nb" * 200)
    signal = make_signal(protocol="p", protocol_version="1", source=source, actions={}, detail="d\0" * 2000)
    row = signal.as_row()
    assert all(text.isprintable() for text in (row["carrier"], row["declaring_party"], row["detail"]))
    assert len(row["detail"]) == 1000


def test_two_statements_in_one_carrier_keep_different_names() -> None:
    carriers = [signal.carrier for signal in numbered([_signal({}), _signal({}), _signal({})])]
    assert carriers == ["test", "test (2)", "test (3)"]
