"""Pinning a detector: a policy that names it clears nothing that was searched with another one."""

from __future__ import annotations

import re
from pathlib import Path

from db.files import write_durably
from governance.errors import PolicyError
from governance.policy.reading import parse_policy


def pin_detector(path: Path, digest: str) -> None:
    """Make a policy file ask for a detector, keeping every other line and comment of it as it is.

    Raises `PolicyError` if the file is no sound policy, before or after.
    """
    text = path.read_bytes().decode("utf-8")
    parse_policy(text.encode(), path.name)
    line = f"  detector: {digest}\n"
    if re.search(r"^  detector:.*\n", text, re.MULTILINE):
        pinned = re.sub(r"^  detector:.*\n", line, text, count=1, flags=re.MULTILINE)
    elif re.search(r"^require:\s*\n", text, re.MULTILINE):
        pinned = re.sub(
            r"^require:\s*\n", lambda found: found.group(0) + line, text, count=1, flags=re.MULTILINE
        )
    else:
        pinned = re.sub(r"^rules:", f"require:\n{line}\nrules:", text, count=1, flags=re.MULTILINE)
    if parse_policy(pinned.encode(), path.name).detector != digest:
        raise PolicyError(
            f"{path.name}: the detector could not be written into it",
            hint=f"add the line 'detector: {digest}' below 'require:'",
        )
    write_durably(path, pinned.encode())
