"""Base models on record: what is taken, what is refused, and that every change of a file is noticed and named."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from db.canonical import sha256_hex
from db.errors import ConfigError
from db.events import list_events
from db.project import Project
from governance.manifests.statements import ComponentStatus
from tests.cli import cleartitle
from tests.media import flip_byte
from tests.training.adapters.conftest import statement_in
from training.adapters.base_record import NOT_ATTESTED, record_from
from training.adapters.bases import ADDED, BaseModel, add_base, find_base, list_bases
from training.adapters.errors import BaseModelChanged, BaseModelError


def rewrite_index(folder: Path, **changes: object) -> None:
    path = folder / "model_index.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_a_base_is_found_as_it_was_put_on_record(empty_project: Project, ltx: BaseModel) -> None:
    found = find_base(empty_project, "ltx")
    assert (found, list_bases(empty_project)) == (ltx, [ltx])
    assert found.record.pipeline == "LTXPipeline"
    assert record_from(found.record.document()) == found.record
    paths = [file.path for file in found.record.files]
    assert "model_index.json" in paths
    assert {path.split("/")[0] for path in paths} == {
        "model_index.json",
        "scheduler",
        "text_encoder",
        "tokenizer",
        "transformer",
        "vae",
    }
    kept = empty_project.bases / "ltx" / "licence"
    assert sha256_hex(kept.read_bytes()) == found.record.license_sha256
    component = found.record.component
    assert (component.status, component.remark) == (ComponentStatus.UNDISCLOSED, NOT_ATTESTED)
    found.verify()


def test_the_same_again_changes_nothing_and_tells_where_it_lies_now(
    empty_project: Project, ltx: BaseModel, tmp_path: Path
) -> None:
    moved = Path(shutil.move(ltx.folder, tmp_path / "elsewhere"))
    add_base(empty_project, moved, "ltx", statement_in(tmp_path))
    found = find_base(empty_project, "ltx")
    assert (found.record, found.folder) == (ltx.record, moved)
    found.verify()
    with empty_project.session() as session:
        assert len(list_events(session, kind=ADDED)) == 2


def test_a_record_is_never_changed(empty_project: Project, ltx: BaseModel, tmp_path: Path) -> None:
    again = statement_in(tmp_path, training_data="licensed-claimed", evidence="https://example.com/data")
    with pytest.raises(BaseModelError, match="'ltx' is on record with other files or other statements"):
        add_base(empty_project, ltx.folder, "ltx", again)
    assert find_base(empty_project, "ltx") == ltx
    record = empty_project.bases / "ltx" / "base.json"
    document = json.loads(record.read_bytes()) | {"reviewer": "Somebody else"}
    record.write_text(json.dumps(document))
    with pytest.raises(BaseModelChanged, match="is not the record that was made of base ltx"):
        find_base(empty_project, "ltx")
    record.unlink()
    with pytest.raises(BaseModelChanged, match=r"base\.json: the record of base ltx cannot be read"):
        find_base(empty_project, "ltx")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda path: flip_byte(path, -1), r"diffusion_pytorch_model\.safetensors has sha256"),
        (lambda path: path.unlink(), r"diffusion_pytorch_model\.safetensors is missing"),
        (
            lambda path: path.with_name("model.safetensors.index.json").write_text("{}"),
            r"model\.safetensors\.index\.json is not on record",
        ),
        (
            lambda path: rewrite_index(path.parent.parent, _diffusers_version="0"),
            r"model_index\.json has sha256",
        ),
    ],
)
def test_a_change_of_any_file_is_named(ltx: BaseModel, change: Callable[[Path], object], words: str) -> None:
    change(ltx.folder / "transformer" / "diffusion_pytorch_model.safetensors")
    with pytest.raises(BaseModelChanged, match=words):
        ltx.verify()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda folder: (folder / "model_index.json").unlink(), r"there is no model_index\.json"),
        (lambda folder: (folder / "model_index.json").write_text("{"), "cannot be read"),
        (lambda folder: (folder / "model_index.json").write_text("[]"), "is not a JSON object"),
        (
            lambda folder: rewrite_index(folder, _class_name="StableDiffusionPipeline"),
            "the pipeline is 'StableDiffusionPipeline', expected one of CogVideoXPipeline, LTXPipeline",
        ),
        (
            lambda folder: rewrite_index(folder, _class_name=["own", "LTXPipeline"]),
            r"the pipeline is \['own'",
        ),
        (lambda folder: shutil.rmtree(folder / "text_encoder"), "the pipeline has no text_encoder"),
        (lambda folder: rewrite_index(folder, tokenizer=[None, None]), "the pipeline has no tokenizer"),
        (
            lambda folder: rewrite_index(folder, vae=["own_code", "AutoencoderKLLTXVideo"]),
            "vae is a class of 'own_code'",
        ),
        (
            lambda folder: rewrite_index(folder, upsampler=["diffusers", "LTXLatentUpsampler"]),
            "adapters are not trained for a pipeline with a upsampler",
        ),
        (lambda folder: rewrite_index(folder, boundary_ratio=0.9), "not trained for this variant"),
        (
            lambda folder: (folder / "text_encoder" / "model.safetensors").rename(
                folder / "text_encoder" / "pytorch_model.bin"
            ),
            "text_encoder: holds no weights in safetensors",
        ),
    ],
)
def test_what_is_no_base_is_not_taken(
    empty_project: Project, ltx_copy: Path, tmp_path: Path, change: Callable[[Path], object], words: str
) -> None:
    change(ltx_copy)
    with pytest.raises(BaseModelError, match=words):
        add_base(empty_project, ltx_copy, "ltx", statement_in(tmp_path))
    assert list_bases(empty_project) == []
    assert not empty_project.bases.exists()


@pytest.mark.parametrize(
    ("stated", "words"),
    [
        ({"license_file": Path("nowhere/LICENSE")}, "nowhere/LICENSE: the licence file cannot be read"),
        ({"license_expression": "Apache 2"}, "is not an SPDX license expression"),
        ({"training_data": "licensed-claimed"}, "nothing is given that says so"),
        ({"training_data": "licensed-claimed", "evidence": "letter.pdf"}, "the evidence cannot be read"),
        ({"training_data": "cleared", "evidence": "https://example.com"}, "takes Content Credentials"),
        ({"excluded_territories": ("EU",)}, "EU"),
        ({"excluded_territories": ("WORLD",)}, "holds nowhere"),
        ({"revenue_limit": "ten million"}, "is not an amount"),
        ({"training_flop": -1.0}, "training_flop is -1.0"),
        ({"reviewer": "  "}, "the reviewer is empty"),
    ],
)
def test_what_cannot_be_stated_is_not_taken(
    empty_project: Project, ltx_folder: Path, tmp_path: Path, stated: dict[str, object], words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        add_base(empty_project, ltx_folder, "ltx", statement_in(tmp_path, **stated))
    assert list_bases(empty_project) == []


def test_an_empty_licence_is_none(empty_project: Project, ltx_folder: Path, tmp_path: Path) -> None:
    statement = statement_in(tmp_path)
    statement.license_file.write_text("\n")
    with pytest.raises(BaseModelError, match="LICENSE: the licence file is empty"):
        add_base(empty_project, ltx_folder, "ltx", statement)


def test_a_document_that_is_evidence_is_kept(
    empty_project: Project, ltx_folder: Path, tmp_path: Path
) -> None:
    letter = tmp_path / "letter.txt"
    letter.write_text("We licensed it all.\n")
    stated = statement_in(tmp_path, training_data="licensed-claimed", evidence=str(letter))
    record = add_base(empty_project, ltx_folder, "ltx", stated).record
    kept = (empty_project.bases / "ltx" / "evidence").read_bytes()
    assert record.evidence == f"sha256:{sha256_hex(kept)}"
    assert dataclasses.replace(record, reviewer="Other").digest != record.digest


def test_the_commands_say_what_is_on_record(empty_project: Project, ltx_folder: Path, tmp_path: Path) -> None:
    licence = tmp_path / "LICENSE"
    licence.write_text("You may.\n")
    words = ["training", "base", "add", str(ltx_folder), "--name", "ltx", "--licence-file", str(licence)]
    words += ["--licence-id", "LicenseRef-LTXV", "--training-data", "undisclosed", "--reviewer", "Ann"]
    words += ["--excluded-territory", "kr", "--revenue-limit", "10000000 USD", "--training-flop", "3e22"]
    added = cleartitle(*words, "--json", cwd=empty_project.root)
    assert added.exit_code == 0, added.stderr
    facts = json.loads(added.stdout)
    assert (facts["kind"], facts["training_data"], facts["excluded_territories"]) == (
        "base-model",
        "undisclosed",
        ["KR"],
    )
    assert (facts["revenue_limit"], facts["training_flop"]) == ("10000000 USD", 3e22)
    listed = cleartitle("training", "base", "list", cwd=empty_project.root)
    assert "LTXPipeline" in listed.stdout
    shown = cleartitle("training", "base", "show", "ltx", "--verify", cwd=empty_project.root)
    assert shown.exit_code == 0, shown.stderr
    assert "every file is the one on record" in shown.stdout
    assert NOT_ATTESTED in shown.stdout.replace("\n", " ")
    unknown = cleartitle("training", "base", "show", "other", cwd=empty_project.root)
    assert (unknown.exit_code, "on record: ltx" in unknown.stderr) == (2, True)
