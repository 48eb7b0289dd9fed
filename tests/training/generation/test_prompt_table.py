"""Tables of prompts: read whole, bad rows named by number, nothing drawn of a table that has any."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from db.canonical import canonical_json
from db.errors import ConfigError
from training.generation.batch import Defaults, orders_of
from training.generation.prompt_table import PromptRow, read_prompts
from training.generation.request import MAX_SEED, ClipRequest, SourceUse

DEFAULTS = Defaults(seed=7, count=2, size=64)


def table(folder: Path, name: str, text: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_the_formats_say_the_same(tmp_path: Path) -> None:
    csv = table(tmp_path, "p.csv", '\ufeffPrompt,seed,count,size\nthe sea,3,2,128\n"a hill, at night",,,\n')
    lines = table(
        tmp_path,
        "p.jsonl",
        '{"prompt": "the sea", "seed": 3, "count": 2, "size": 128}\n{"prompt": "a hill, at night"}\n',
    )
    sea, hill = read_prompts(csv)
    assert sea == PromptRow(number=2, prompt="the sea", seed=3, count=2, size=128)
    assert hill == PromptRow(number=3, prompt="a hill, at night")
    assert [row.number for row in read_prompts(lines)] == [1, 2]
    assert [(row.prompt, row.seed) for row in read_prompts(lines)] == [(sea.prompt, 3), (hill.prompt, None)]
    text = table(tmp_path, "p.txt", "the sea\n\n a hill, at night \r\n")
    assert [(row.number, row.prompt) for row in read_prompts(text)] == [
        (1, "the sea"),
        (3, "a hill, at night"),
    ]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (",1,1,64", "the prompt is empty"),
        ("   ,1,1,64", "the prompt is empty"),
        ("x" * 10_000 + ",1,1,64", "10000 characters, at most 1000"),
        ("sea,-1,1,64", "seed is '-1'"),
        (f"sea,{MAX_SEED + 1},1,64", "seed is"),
        ("sea,1_0,1,64", "seed is '1_0'"),
        ("sea,1,0,64", "count is '0'"),
        ("sea,1,1e3,64", "count is '1e3'"),
        ("sea,1,1,65", "even number"),
        ("sea,1,1,9999", "size is '9999'"),
        ("sea,1,1,64,extra", "more or fewer cells"),
        ("se\x07a,1,1,64", "cannot be seen"),
    ],
)
def test_a_bad_row_is_named_by_number_and_the_table_refused(tmp_path: Path, row: str, reason: str) -> None:
    path = table(tmp_path, "p.csv", f"prompt,seed,count,size\nthe sea,1,1,64\n{row}\n")
    with pytest.raises(ConfigError, match=r"1 of 2 rows cannot be used\. row 3: ") as refused:
        read_prompts(path)
    assert reason in str(refused.value)
    assert str(path) in str(refused.value)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("[1]", "not a JSON object"),
        ("{", "not a JSON object"),
        ('{"prompt": 3}', "not text"),
        ('{"prompt": "sea", "seed": true}', "seed is 'True'"),
        ('{"prompt": "sea", "seed": 1.5}', "seed is '1.5'"),
        ('{"prompt": "sea", "sede": 1}', "unknown columns: sede"),
        ("{}", "the prompt is empty"),
    ],
)
def test_a_bad_line_is_named_by_number(tmp_path: Path, line: str, reason: str) -> None:
    path = table(tmp_path, "p.jsonl", f'{{"prompt": "sea"}}\n{line}\n')
    with pytest.raises(ConfigError, match="row 2: ") as refused:
        read_prompts(path)
    assert reason in str(refused.value)


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("p.csv", "", "no column 'prompt'"),
        ("p.csv", "prompt\n", "has no prompts"),
        ("p.csv", "seed\n1\n", "no column 'prompt'"),
        ("p.csv", "prompt,style\nsea,x\n", "style"),
        ("p.csv", "prompt,prompt\nsea,x\n", "twice"),
        ("p.csv", 'prompt\n"sea\n', "cannot be read as CSV"),
        ("p.txt", "\n \n", "has no prompts"),
        ("p.txt", b"\xff\xfe", "not UTF-8"),
        ("p.pdf", "sea", "suffix"),
    ],
)
def test_a_file_that_is_no_table_of_prompts_is_refused(
    tmp_path: Path, name: str, text: str | bytes, reason: str
) -> None:
    with pytest.raises(ConfigError, match=reason):
        read_prompts(table(tmp_path, name, text))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.csv: cannot be read: No such file"):
        read_prompts(tmp_path / "nowhere.csv")


def test_a_hundred_bad_rows_are_counted(tmp_path: Path) -> None:
    path = table(tmp_path, "p.csv", "prompt,seed\n" + "sea,x\n" * 100)
    with pytest.raises(ConfigError, match=r"100 of 100 rows .* row 11: .*; and 90 more"):
        read_prompts(path)


def test_a_row_overrides_the_command(tmp_path: Path) -> None:
    rows = [PromptRow(number=2, prompt="sea"), PromptRow(number=3, prompt="hill", seed=1, count=1, size=128)]
    orders = orders_of(rows, DEFAULTS, segment_frames=16, table=tmp_path / "p.csv")
    assert [(o.row, o.request.prompt, o.request.seed, o.request.width) for o in orders] == [
        (2, "sea", 7, 64),
        (2, "sea", 8, 64),
        (3, "hill", 1, 128),
    ]


def test_seeds_beyond_the_largest_are_refused_by_row(tmp_path: Path) -> None:
    rows = [PromptRow(number=2, prompt="sea", seed=MAX_SEED)]
    assert len(orders_of(rows, Defaults(seed=0, count=1, size=64), segment_frames=16)) == 1
    with pytest.raises(ConfigError, match="row 2: seeds go beyond"):
        orders_of(rows, DEFAULTS, segment_frames=16, table=tmp_path / "p.csv")


def test_a_row_has_a_duration_of_its_own(tmp_path: Path) -> None:
    path = table(tmp_path, "p.csv", "prompt,count,seconds\nsea,1,4\nhill,1,2.0\nsand,1,\n")
    orders = orders_of(read_prompts(path), DEFAULTS, segment_frames=16, table=path)
    assert [order.request.num_frames for order in orders] == [32, None, None]
    odd = table(tmp_path, "q.csv", "prompt,seconds\nsea,4\nhill,3\nsand,0.5\n")
    with pytest.raises(
        ConfigError, match=r"2 of 3 rows .* row 3: 3 seconds: the model draws 2 seconds at once"
    ):
        orders_of(read_prompts(odd), DEFAULTS, segment_frames=16, table=odd)


@pytest.mark.parametrize("seconds", ["-2", "0", "61", "1e1", "nan", "two", "1_0"])
def test_a_duration_that_is_none_is_named(tmp_path: Path, seconds: str) -> None:
    path = table(tmp_path, "p.csv", f"prompt,seconds\nsea,{seconds}\n")
    with pytest.raises(ConfigError, match=f"row 2: seconds is '{seconds}'"):
        read_prompts(path)


@pytest.mark.parametrize(
    "changes",
    [
        {"is_loop": True, "source_use": SourceUse.CONTINUED},
        {"source_use": SourceUse.VARIED},
        {"strength_percent": 50},
        {"source_use": SourceUse.VARIED, "strength_percent": 50, "num_frames": 32},
    ],
)
def test_what_does_not_go_together_is_refused(changes: dict[str, Any]) -> None:
    if "source_use" in changes:
        changes = changes | {"source_sha256": "a" * 64, "source_media_type": "video/mp4"}
    with pytest.raises(ConfigError):
        ClipRequest(prompt="sea", seed=1, height=64, width=64, **changes)


def test_single_frames_neither_go_on_nor_round() -> None:
    rows = [PromptRow(number=1, prompt="sea")]
    with pytest.raises(ConfigError, match="single frames"):
        orders_of(rows, Defaults(seed=0, count=1, size=64, is_loop=True), segment_frames=1)
    with pytest.raises(ConfigError, match="single frames"):
        orders_of(rows, Defaults(seed=0, count=1, size=64, seconds=1), segment_frames=1)


def test_everything_that_is_asked_for_is_in_the_name_and_kept() -> None:
    plain: dict[str, Any] = {"prompt": "sea", "seed": 1, "height": 64, "width": 64}
    clip: dict[str, Any] = {"source_sha256": "a" * 64, "source_media_type": "video/mp4"}
    requests = [
        ClipRequest(**plain),
        ClipRequest(**plain, num_frames=32),
        ClipRequest(**plain, is_loop=True),
        ClipRequest(**plain, **clip, source_use=SourceUse.CONTINUED),
        ClipRequest(**plain, **clip, source_use=SourceUse.VARIED, strength_percent=50),
        ClipRequest(**plain, **clip, source_use=SourceUse.VARIED, strength_percent=51),
        ClipRequest(**plain, **clip | {"source_sha256": "b" * 64}, source_use=SourceUse.CONTINUED),
    ]
    assert len({request.file_name for request in requests}) == len(requests)
    for request in requests:
        assert ClipRequest.from_json(json.loads(canonical_json(request.as_json()))) == request


def test_each_request_has_a_name_of_its_own() -> None:
    small, large = (ClipRequest(prompt="sea", seed=1, height=size, width=size) for size in (64, 128))
    other = ClipRequest(prompt="sea", seed=2, height=64, width=64)
    assert len({small.file_name, large.file_name, other.file_name}) == 3
    assert small.file_name == ClipRequest(prompt="sea", seed=1, height=64, width=64).file_name
