"""Reading a manifest store in crJSON, the form that the rubrics of the conformance programme look at.

Unlike verification this also reads files without any anchor at hand: most statements say nothing of trust. Nobody is
trusted then.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from governance.credentials import library
from governance.errors import VerificationError
from governance.trust.anchors import TrustAnchors

NO_ANCHORS = TrustAnchors(b"", "no trust anchors")


def read_crjson(
    path: Path, trust: TrustAnchors, *, media_type: str, sidecar: Path | None = None
) -> dict[str, Any]:
    """Return the manifest store embedded in `path`, or the one in `sidecar` that speaks for it, in crJSON.

    All text in it was written by whoever made the file. `trust` may be `NO_ANCHORS`.

    Raises `NoManifest` if there is none, `VerificationError` if it cannot be read as one, `OSError` if a file cannot be
    opened.
    """
    store = None if sidecar is None else sidecar.read_bytes()
    if store is not None and not store:
        raise VerificationError(f"{sidecar}: is empty")
    with path.open("rb") as file:
        return library.read_crjson(file, store, media_type=media_type, trust=trust, subject=str(path))
