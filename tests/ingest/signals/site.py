"""Capture folders for tests: responses as a crawler would have saved them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ORIGIN = "https://example.com"
FETCHED_AT = "2026-11-20T10:00:00Z"
CORPUS = Path(__file__).parent / "corpus"
_MEDIA_TYPES = {
    ".txt": "text/plain",
    ".json": "application/json",
    ".html": "text/html; charset=utf-8",
    ".xml": "application/rsl+xml",
    ".pdf": "application/pdf",
    ".epub": "application/epub+zip",
}


class CaptureFolder:
    """A capture folder being filled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "bodies").mkdir(parents=True)
        (folder / "captures.jsonl").touch()
        self._num_bodies = 0

    def add(
        self,
        url: str,
        body: bytes | None = None,
        *,
        status: int = 200,
        headers: Mapping[str, Any] | None = None,
        fetched_at: str = FETCHED_AT,
    ) -> Path | None:
        """Save a response; return where its body lies."""
        path = None
        row: dict[str, Any] = {
            "url": url,
            "status": status,
            "headers": dict(headers or {}),
            "fetched_at": fetched_at,
        }
        if body is None:
            row |= {"body_file": None, "body_sha256": None}
        else:
            self._num_bodies += 1
            name = f"bodies/{self._num_bodies}"
            path = self.folder / name
            path.write_bytes(body)
            row |= {"body_file": name, "body_sha256": hashlib.sha256(body).hexdigest()}
        self.add_line(json.dumps(row))
        return path

    def add_line(self, line: str) -> None:
        """Write a line of the index as it is."""
        with (self.folder / "captures.jsonl").open("a", encoding="utf-8") as index:
            index.write(f"{line}\n")

    def add_sample(self, path: str, sample: str, *, status: int = 200) -> None:
        """Save a sample of the corpus as a file of the site."""
        headers = {"Content-Type": _MEDIA_TYPES[Path(sample).suffix]}
        self.add(ORIGIN + path, (CORPUS / sample).read_bytes(), status=status, headers=headers)
