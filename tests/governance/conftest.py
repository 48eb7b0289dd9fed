"""Signed artefacts, made once and copied by whoever wants to damage them."""

from __future__ import annotations

import pytest

from tests.governance.signed_chain import SignedChain, make_signed_chain


@pytest.fixture(scope="session")
def signed_chain(tmp_path_factory: pytest.TempPathFactory) -> SignedChain:
    """Snapshot, weights and clip with their credentials. Read only: copy what you change."""
    return make_signed_chain(tmp_path_factory.mktemp("chain"))
