"""Pictures of a run: the loss curve and a contact sheet of samples, both PNG."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from db.files import durable_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from PIL.Image import Image
    from torch import Tensor

_INK = "#1b2a41"
_PALE = "#9fb3c8"

# Pixels of the contact sheet.
_CELL = 112
_GAP = 6
_LABEL_WIDTH = 250
_MARGIN = 20
_FONT_SIZE = 17
_LINE_HEIGHT = 21
_LABEL_CHARACTERS = 27
_LABEL_LINES = 4


def draw_loss_curve(path: Path, losses: Sequence[float], *, title: str) -> None:
    """Draw the loss of every step and its running mean over a fiftieth of the run."""
    # The object interface, because pyplot keeps global state and may look for a screen.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.0, 4.5), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    _plot_losses(figure.add_subplot(), losses, title)
    with durable_file(path) as temporary:
        # No software name and no date: equal runs give equal files.
        figure.savefig(temporary, format="png", metadata={"Software": None})


def _plot_losses(axes: Axes, losses: Sequence[float], title: str) -> None:
    window = max(1, len(losses) // 50)
    steps = range(1, len(losses) + 1)
    axes.plot(steps, losses, color=_PALE, linewidth=0.8, label="each step")
    axes.plot(
        steps, _running_mean(losses, window), color=_INK, linewidth=2.0, label=f"mean of {window} steps"
    )
    axes.set_xlabel("optimiser step", fontsize=12)
    axes.set_ylabel("rectified-flow loss (mean squared error)", fontsize=12)
    axes.set_title(title, fontsize=13, color=_INK, loc="left")
    axes.tick_params(labelsize=11)
    axes.set_xlim(1, max(2, len(losses)))
    axes.set_ylim(bottom=0.0)
    axes.grid(color="#e4e9ef", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=11)


def _running_mean(values: Sequence[float], window: int) -> list[float]:
    """Return the mean of up to `window` values ending at each place."""
    means: list[float] = []
    total = 0.0
    for place, value in enumerate(values):
        total += value - (values[place - window] if place >= window else 0.0)
        means.append(total / min(window, place + 1))
    return means


def draw_contact_sheet(
    path: Path, prompts: Sequence[str], samples_BTCHW: Tensor, *, num_columns: int = 8
) -> None:
    """Draw one row per prompt: the prompt, then `num_columns` frames evenly spaced over its RGB clip."""
    from PIL import Image, ImageDraw, ImageFont

    num_frames = samples_BTCHW.shape[1]
    columns = sorted({round(i * (num_frames - 1) / max(1, num_columns - 1)) for i in range(num_columns)})
    pitch = _CELL + _GAP
    left, top = _MARGIN + _LABEL_WIDTH, _MARGIN + _LINE_HEIGHT + _GAP
    size = (left + len(columns) * pitch - _GAP + _MARGIN, top + len(prompts) * pitch - _GAP + _MARGIN)
    sheet = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(size=_FONT_SIZE)
    draw.text((_MARGIN, _MARGIN), "prompt", fill=_PALE, font=font)
    for column, frame in enumerate(columns):
        x = left + column * pitch
        draw.text((x, _MARGIN), f"frame {frame + 1}", fill=_PALE, font=font)
        for row in range(len(prompts)):
            sheet.paste(_thumbnail(samples_BTCHW[row, frame]), (x, top + row * pitch))
    for row, prompt in enumerate(prompts):
        lines = textwrap.wrap(
            prompt or "(no caption)", _LABEL_CHARACTERS, max_lines=_LABEL_LINES, placeholder=" …"
        )
        y = top + row * pitch + (_CELL - len(lines) * _LINE_HEIGHT) // 2
        for number, line in enumerate(lines):
            draw.text((_MARGIN, y + number * _LINE_HEIGHT), line, fill=_INK, font=font)
    with durable_file(path) as temporary:
        sheet.save(temporary, format="PNG")


def _thumbnail(frame_CHW: Tensor) -> Image:
    from PIL import Image

    image = Image.fromarray(frame_CHW.permute(1, 2, 0).contiguous().numpy())
    return image.resize((_CELL, _CELL), Image.Resampling.BICUBIC)
