"""Errors of the training layer."""

from __future__ import annotations

from db.errors import ConfigError, RefusedError


class NotCleared(RefusedError):
    """A clip was asked for that the snapshot and permit do not clear, or whose bytes are not the sealed ones."""


class TrainingConfigError(ConfigError):
    """A training configuration has an unknown key or a value out of range."""


class CheckpointError(RefusedError):
    """A checkpoint or weights file does not match its record."""


class ReplicationRefused(RefusedError):
    """A generated clip shows footage again; `sentence` says which seconds."""

    def __init__(self, sentence: str) -> None:
        super().__init__(
            f"the clip was refused and not signed: {sentence}", hint="generate with another seed"
        )
        self.sentence = sentence


class PromptRefused(RefusedError):
    """A prompt asks for what a grant that the model relies on forbids; the message names clause, grant and holder."""


class ProofError(RefusedError):
    """What a run left behind does not prove what it should: a signature, a ledger or a head does not hold."""
