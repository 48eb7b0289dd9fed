"""Train on an exported snapshot without cleartitle: `python train_elsewhere.py FOLDER`. Needs torch and av alone."""

import hashlib
import io
import json
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import av
import torch


def clips(folder: Path) -> Iterator[torch.Tensor]:
    """Yield the frames (TCHW, 0 to 1) of each clip of the training part, after its digest was checked."""
    for shard in sorted(folder.glob("train-*.tar")):
        with tarfile.open(shard) as tar:
            members = (tar.extractfile(member).read() for member in tar)  # type: ignore[union-attr]
            for video, facts, _caption in zip(members, members, members, strict=True):
                if hashlib.sha256(video).hexdigest() != json.loads(facts)["video_sha256"]:
                    sys.exit(f"{shard}: a clip is not the one that was exported")
                with av.open(io.BytesIO(video), "r") as container:
                    frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
                yield torch.stack([torch.from_numpy(frame) for frame in frames]).permute(0, 3, 1, 2) / 255


model = torch.nn.Conv2d(3, 3, kernel_size=5, padding=2)
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
for number, frames in enumerate(clips(Path(sys.argv[1])), start=1):
    loss = torch.nn.functional.mse_loss(model(frames + 0.1 * torch.randn_like(frames)), frames)
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    sys.stdout.write(f"clip {number}: {len(frames)} frames, loss {loss.item():.4f}\n")
