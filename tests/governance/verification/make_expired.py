"""Makes `expired/`: two documents signed with a certificate that lived for seconds, one of them time-stamped.

The library signs with no certificate that has expired, so these files cannot be made by the test that needs them.
Run from the root of the repository: python -m tests.governance.verification.make_expired
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import shutil
import tempfile
import time
from pathlib import Path

from governance.credentials.engine import sign_sidecar
from governance.manifests import manifest as m
from governance.signing.keys import SigningIdentity
from governance.signing.time_stamps import TimeStampAuthority
from governance.trust.anchors import TrustAnchors
from governance.verification.verify import sidecar_of
from tests.governance.signed_chain import VERSION, snapshot_document, snapshot_statement
from tests.governance.signing.certificates import make_leaf, make_root, pem_of, private_pem_of
from tests.governance.signing.stamping import make_authority, serving

_FOLDER = Path(__file__).parent / "expired"
_LIFE = dt.timedelta(seconds=4)


def make_expired(folder: Path) -> None:
    """Write the files and wait until the certificate has expired."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    root = make_root()
    now = dt.datetime.now(dt.UTC)
    leaf = make_leaf(root, not_before=now - dt.timedelta(hours=1), not_after=now + _LIFE)
    identity = SigningIdentity(
        chain_pem=pem_of(leaf.certificate),
        key_pem=private_pem_of(leaf.key),
        algorithm="es256",
        is_development=True,
        expires_at=leaf.certificate.not_valid_after_utc,
    )
    with tempfile.TemporaryDirectory() as temporary:
        authority = make_authority(Path(temporary) / "tsa")
        (folder / "trust.pem").write_bytes(pem_of(root.certificate))
        (folder / "times.pem").write_bytes(authority.root_pem)
        trust = TrustAnchors(pem_of(root.certificate), "root", authority.root_pem)
        with serving(lambda query, _number: (200, authority.stamp(query))) as served:
            stamped = dataclasses.replace(identity, time_stamp=TimeStampAuthority(url=served.url))
            _sign(folder / "stamped.json", stamped, trust)
        _sign(folder / "unstamped.json", identity, trust)
    time.sleep(max(0.0, (identity.expires_at - dt.datetime.now(dt.UTC)).total_seconds() + 1))


def _sign(path: Path, identity: SigningIdentity, trust: TrustAnchors) -> None:
    path.write_bytes(snapshot_document())
    sign_sidecar(
        m.snapshot_manifest(snapshot_statement(snapshot_document()), generator_version=VERSION),
        path,
        sidecar_of(path),
        media_type=m.SNAPSHOT_MEDIA_TYPE,
        identity=identity,
        trust=trust,
    )


if __name__ == "__main__":
    make_expired(_FOLDER)
