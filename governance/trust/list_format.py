"""Trust lists in JSON, as C2PA publishes them: lists of trusted entities after ETSI TS 119 602."""

from __future__ import annotations

import base64
import binascii
import json
import textwrap
from collections.abc import Iterator
from typing import Any

from db.errors import ConfigError

_TRUSTED_STATUS = "http://c2pa.org/conformance/trust-list/trusted"


def is_json_list(content: bytes) -> bool:
    """Whether `content` is meant as JSON rather than PEM."""
    return content.lstrip().startswith(b"{")


def name_of_list(content: bytes, *, description: str) -> str:
    """Return the English name of a list, such as `C2PA TSA Trust List`. Raises `ConfigError` if it has none."""
    try:
        names = _lote(content)["ListAndSchemeInformation"]["SchemeName"]
        return str(next(entry["value"] for entry in names if entry["lang"] == "en"))
    except (ValueError, KeyError, TypeError, StopIteration, RecursionError) as exc:
        raise ConfigError(f"{description}: is no trust list: it does not say which one it is") from exc


def pem_of_list(content: bytes, *, description: str) -> bytes:
    """Return the certificates that a list calls trusted, in PEM; those of any other status are left out.

    Raises `ConfigError` if it is malformed.
    """
    try:
        certificates = list(_certificates(_lote(content)))
    except (ValueError, KeyError, TypeError, binascii.Error, RecursionError) as exc:
        raise ConfigError(f"{description}: is no trust list in JSON: {type(exc).__name__}: {exc}") from exc
    return "".join(certificates).encode("ascii")


def _lote(content: bytes) -> dict[str, Any]:
    entities: dict[str, Any] = json.loads(content)["LoTE"]
    return entities


def _certificates(entities: dict[str, Any]) -> Iterator[str]:
    for entity in entities["TrustedEntitiesList"]:
        for service in entity["TrustedEntityServices"]:
            information = service["ServiceInformation"]
            if information["ServiceStatus"] != _TRUSTED_STATUS:
                continue
            for certificate in information["ServiceDigitalIdentity"]["X509Certificates"]:
                der = base64.b64decode(certificate["val"], validate=True)
                lines = "\n".join(textwrap.wrap(base64.b64encode(der).decode("ascii"), 64))
                yield f"-----BEGIN CERTIFICATE-----\n{lines}\n-----END CERTIFICATE-----\n"
