"""TrustMark's files with random weights: its real loader reads them, and nothing is in them."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ingest.watermark.trustmark_payload import payload_of

if TYPE_CHECKING:
    import torch

    from ingest.watermark.trustmark import TrustMark

VARIANT = "P"
NAMES = (f"trustmark_{VARIANT}.yaml", f"encoder_{VARIANT}.ckpt", f"decoder_{VARIANT}.ckpt")
# As the library's own, with networks that are quick.
_CONFIG = """\
model:
  target: trustmark.model.TrustMark_Arch
  params:
    cover_key: image
    secret_key: secret
    secret_len: 100
    resolution: 256
    secret_encoder_config:
      target: trustmark.unet.Unet1
      params: {width: 4, ndown: 4}
    secret_decoder_config:
      target: trustmark.unet.SecretDecoder
      params: {arch: simple}
    discriminator_config: {target: trustmark.model.Identity}
    loss_config: {target: trustmark.model.Identity}
    noise_config: {target: trustmark.model.Identity}
"""


def write_trustmark_files(folder: Path) -> Path:
    """Write the three files of the variant into the new `folder`, and return it."""
    import torch
    from omegaconf import OmegaConf
    from trustmark.trustmark import instantiate_from_config

    folder.mkdir()
    config, encoder, decoder = (folder / name for name in NAMES)
    config.write_text(_CONFIG, encoding="utf-8")
    with torch.random.fork_rng():
        torch.manual_seed(7)
        network = instantiate_from_config(OmegaConf.load(config).model)
    for path, part in ((encoder, "encoder."), (decoder, "decoder.")):
        weights = {name: value for name, value in network.state_dict().items() if name.startswith(part)}
        torch.save({"state_dict": weights, "global_step": 1, "epoch": 0}, path)
    return folder


def pin(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the library take what `folder` holds for its own files."""
    from trustmark.trustmark import MODEL_CHECKSUMS

    for name in NAMES:
        monkeypatch.setitem(MODEL_CHECKSUMS, name, hashlib.md5((folder / name).read_bytes()).hexdigest())


def make_say(trustmark: TrustMark, mark_id: int) -> None:
    """Make the decoder say `mark_id` in three frames of four, each with four wrong bits, and noise in the fourth."""
    import torch

    engine: Any = trustmark._engine
    packet_K = torch.from_numpy(engine.ecc.encode_binary([payload_of(mark_id)])[0]) * 2 - 1

    class Decoder(torch.nn.Module):
        num_asked = 0

        def forward(self, _frame: torch.Tensor) -> torch.Tensor:
            said_K = packet_K.clone()
            said_K[[self.num_asked % 10, 20, 40, 90]] *= -1
            if self.num_asked % 4 == 2:
                said_K[10:30] *= -1
            self.num_asked += 1
            return said_K[None]

    engine.decoder.decoder = Decoder()


def make_echo(trustmark: TrustMark) -> None:
    """Make the decoder say what the encoder was last given, as trained networks would."""
    import torch

    engine: Any = trustmark._engine
    given: list[torch.Tensor] = []
    engine.encoder.register_forward_pre_hook(lambda _module, inputs: given.append(inputs[1]))

    class Decoder(torch.nn.Module):
        def forward(self, _frame: torch.Tensor) -> torch.Tensor:
            return given[-1] * 2 - 1

    engine.decoder.decoder = Decoder()
