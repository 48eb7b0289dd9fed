"""Pictures of a run."""

from __future__ import annotations

from pathlib import Path

import torch
from PIL import Image

from training.plots import draw_contact_sheet, draw_loss_curve


def test_the_loss_curve_is_the_same_file_every_time(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        draw_loss_curve(tmp_path / name, [2.0, 1.0, 0.5], title="Training on snapshot tiny")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.size == (960, 540)


def test_a_run_of_one_step_has_a_loss_curve(tmp_path: Path) -> None:
    draw_loss_curve(tmp_path / "loss.png", [2.0], title="Training on snapshot tiny")
    assert (tmp_path / "loss.png").is_file()


def test_the_contact_sheet_grows_with_prompts_and_shows_their_colours(tmp_path: Path) -> None:
    red = torch.zeros(16, 3, 8, 8, dtype=torch.uint8)
    red[:, 0] = 255
    heights = []
    for count in (1, 3):
        path = tmp_path / f"{count}.png"
        draw_contact_sheet(path, ["a caption of many words " * 10] * count, torch.stack([red] * count))
        with Image.open(path) as sheet:
            heights.append(sheet.height)
            colours = {colour: number for number, colour in sheet.getcolors(maxcolors=1 << 24) or []}
        assert colours[255, 0, 0] == count * 8 * 112 * 112
    assert heights[0] < heights[1]


def test_a_clip_of_few_frames_shows_each_once(tmp_path: Path) -> None:
    draw_contact_sheet(tmp_path / "sheet.png", [""], torch.zeros(1, 2, 3, 8, 8, dtype=torch.uint8))
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.width < 600
