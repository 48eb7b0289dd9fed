"""What kind of file credentials may be in, told by its first bytes."""

from __future__ import annotations

DATA_MEDIA_TYPE = "application/octet-stream"
"""Anything at all, as long as a sidecar speaks for it."""

HEAD_BYTES = 16
"""How much of a file is needed to tell."""

FILM_MEDIA_TYPES = frozenset({"video/mp4", "video/quicktime", "audio/mp4"})
"""ISO base media with samples, whose boxes the container guard looks through."""

VERIFIED_MEDIA_TYPES = FILM_MEDIA_TYPES | {"video/avi", "image/jpeg", "image/png", "image/webp", "audio/wav"}
"""What verification answers for, as it stands; anything else needs a sidecar."""

VERIFIED_TEXT = "MP4, MOV, M4V, M4A, AVI, JPEG, PNG, WebP, WAV"
"""The same for people."""

_BY_START = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"GIF8", "image/gif"),
    (b"II*\x00", "image/tiff"),
    (b"MM\x00*", "image/tiff"),
    (b"fLaC", "audio/flac"),
    (b"ID3", "audio/mpeg"),
    (b"%PDF-", "application/pdf"),
)
_BY_RIFF_FORM = {b"WAVE": "audio/wav", b"AVI ": "video/avi", b"WEBP": "image/webp"}
_BY_BRAND = {
    b"qt  ": "video/quicktime",
    b"avif": "image/avif",
    b"avis": "image/avif",
    b"heic": "image/heic",
    b"heix": "image/heic",
    b"mif1": "image/heif",
    b"msf1": "image/heif",
    b"M4A ": "audio/mp4",
}
_BMFF_BOXES = frozenset({b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"styp", b"uuid"})


def embedding_media_type(head: bytes) -> str | None:
    """Return the media type of a file that can carry credentials inside, `None` for any other file."""
    if head[:4] == b"RIFF":
        return _BY_RIFF_FORM.get(head[8:12])
    if head[4:8] == b"ftyp":
        return _BY_BRAND.get(head[8:12], "video/mp4")
    if head[4:8] in _BMFF_BOXES:
        return "video/mp4"
    return next((media_type for start, media_type in _BY_START if head.startswith(start)), None)
