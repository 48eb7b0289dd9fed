"""Every command has an example and stands in docs/cli.md as it is."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

_ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def reference() -> ModuleType:
    spec = importlib.util.spec_from_file_location("cli_reference", _ROOT / ".ci" / "cli_reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_docs_are_the_help_of_the_commands(reference: ModuleType) -> None:
    assert (_ROOT / "docs" / "cli.md").read_text(encoding="utf-8") == reference.render(), "run `make docs`"


def test_every_command_has_one_line_of_help_and_an_example(reference: ModuleType) -> None:
    for name, command in reference.commands():
        assert command.help, name
        assert "Example: cleartitle" in command.help, name


def test_every_command_that_works_in_a_project_takes_it(reference: ModuleType) -> None:
    without = {
        "cleartitle",
        "cleartitle init",
        "cleartitle demo",
        "cleartitle encoder fetch",
        "cleartitle policy facts",
        "cleartitle quality",
        "cleartitle catalogue uses",
        "cleartitle review password",
        "cleartitle signals protocols",
        "cleartitle signals read",
    }
    for name, command in reference.commands():
        if name in without or not hasattr(command, "callback") or hasattr(command, "commands"):
            continue
        assert "--project" in {option for parameter in command.params for option in parameter.opts}, name
