"""What is on record of a base model: its files, its licence, and what its maker says of its training data.

A permissive licence of the weights says nothing of what they were trained on: both are stated, apart from each other,
by a person who answers for it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from db.canonical import digest_of
from governance.manifests.statements import ComponentStatement, ComponentStatus
from governance.policy.base_models import BaseModelFacts, Money, read_money
from ingest.rights.licenses import parse_license
from ingest.rights.territories import WORLD, normal_territories
from training.adapters.errors import BaseModelError

FORMAT = "cleartitle.base-model/1"
BASE_ROLE = "base-model"
"""Label of a base among the ingredients of a model."""
NOT_ATTESTED = "fine-tuned on cleared data; base model training data not attested"
"""What is said of a model, and of each of its clips, whose base is not cleared."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseFile:
    """One file of a base model."""

    path: str
    """Below the folder, with slashes."""
    sha256: str
    size_bytes: int


@dataclass(frozen=True, kw_only=True)
class BaseRecord:
    """A base model on record. Checks itself when made; raises `BaseModelError`."""

    name: str
    pipeline: str
    """Class of the pipeline, as `model_index.json` names it."""
    files: tuple[BaseFile, ...]
    """Everything that loading it may read."""
    license_expression: str
    license_sha256: str
    """Of the licence file."""
    status: ComponentStatus
    reviewer: str
    """Who answers for what is stated."""
    evidence: str | None = None
    """An address, or `sha256:` and the digest of a document that is kept beside the record."""
    excluded_territories: tuple[str, ...] = ()
    revenue_limit: Money | None = None
    training_flop: float | None = None
    """Operations that its training took, as its maker states them."""

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise BaseModelError(
                f"base name {self.name!r}: expected letters, digits, '.', '_' or '-', at most 100"
            )
        if not self.reviewer.strip():
            raise BaseModelError("the reviewer is empty", hint="name who answers for what is stated")
        if self.training_flop is not None and not 0 < self.training_flop < math.inf:
            raise BaseModelError(f"training_flop is {self.training_flop}, expected a number above 0")
        if self.status is not ComponentStatus.UNDISCLOSED and not self.evidence:
            raise BaseModelError(
                f"training data {self.status.value}: nothing is given that says so",
                hint="give --evidence ADDRESS or FILE, or state `undisclosed`",
            )
        if self.status is ComponentStatus.CLEARED:
            raise BaseModelError(
                "training data cleared: that takes Content Credentials of every file of weights, which lead to sealed "
                "data, and no pipeline of others carries them",
                hint="state `licensed-claimed`, with the evidence that its maker gives",
            )
        # Written in their normal form, so that one record has one digest.
        object.__setattr__(self, "license_expression", str(parse_license(self.license_expression)))
        object.__setattr__(self, "excluded_territories", normal_territories(self.excluded_territories))
        if WORLD in self.excluded_territories:
            raise BaseModelError("a licence that holds nowhere is none", hint="name countries, as KR or GB")

    @property
    def digest(self) -> str:
        """SHA-256 of the whole record, which pins every file."""
        return digest_of(self.document())

    @property
    def files_sha256(self) -> str:
        """SHA-256 over names and digests of the files: what the base is, whatever is said of it."""
        return digest_of([[file.path, file.sha256] for file in self.files])

    @property
    def facts(self) -> BaseModelFacts:
        """What a policy sees of it."""
        return BaseModelFacts(
            name=self.name,
            status=self.status,
            license_expression=self.license_expression,
            excluded_territories=self.excluded_territories,
            revenue_limit=self.revenue_limit,
        )

    @property
    def component(self) -> ComponentStatement:
        """How credentials name it: an ingredient with its declared status."""
        return ComponentStatement(
            role=BASE_ROLE,
            name=self.name,
            version=self.digest[:12],
            status=self.status,
            sha256=self.files_sha256,
            license_expression=self.license_expression,
            remark=NOT_ATTESTED,
        )

    def document(self) -> dict[str, Any]:
        """Return the record as JSON values."""
        return {
            "format": FORMAT,
            "name": self.name,
            "pipeline": self.pipeline,
            "files": [
                {"path": file.path, "sha256": file.sha256, "size_bytes": file.size_bytes}
                for file in self.files
            ],
            "license_expression": self.license_expression,
            "license_sha256": self.license_sha256,
            "training_data": self.status.value,
            "evidence": self.evidence,
            "excluded_territories": list(self.excluded_territories),
            "revenue_limit": None if self.revenue_limit is None else str(self.revenue_limit),
            "training_flop": self.training_flop,
            "reviewer": self.reviewer,
        }

    def summary(self) -> dict[str, Any]:
        """Return what papers and the intent of a run say of it: everything but the list of files."""
        stated = {name: value for name, value in self.document().items() if name not in {"format", "files"}}
        return stated | {
            "digest": self.digest,
            "files_sha256": self.files_sha256,
            "num_files": len(self.files),
            "attestation": NOT_ATTESTED,
        }


def record_from(document: Mapping[str, Any]) -> BaseRecord:
    """Read a record from its document. Raises `BaseModelError` if it is none."""
    try:
        if document["format"] != FORMAT:
            raise BaseModelError(f"format is {document['format']!r}, expected {FORMAT!r}")
        limit = document["revenue_limit"]
        return BaseRecord(
            name=document["name"],
            pipeline=document["pipeline"],
            files=tuple(BaseFile(**file) for file in document["files"]),
            license_expression=document["license_expression"],
            license_sha256=document["license_sha256"],
            status=ComponentStatus(document["training_data"]),
            evidence=document["evidence"],
            excluded_territories=tuple(document["excluded_territories"]),
            revenue_limit=None if limit is None else read_money(limit),
            training_flop=document["training_flop"],
            reviewer=document["reviewer"],
        )
    except (KeyError, TypeError, ValueError) as exc:
        raise BaseModelError(f"not the record of a base model: {exc!r}") from exc
