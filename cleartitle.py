"""The front door: the `cleartitle` command.

Sub-commands are named here as text and imported when called, so that `--help` is instant. Exit codes and logging
are set here and nowhere else: 0 yes, 1 a definite no, 2 usage or configuration, 3 could not decide, 70 our bug,
130 interrupted, 141 closed pipe.
"""

from __future__ import annotations

import contextlib
import errno
import importlib
import logging
import os
import signal
import sys
import traceback
from collections.abc import Iterator
from types import FrameType
from typing import Any

import click

from db.errors import (
    AnsweredMisuse,
    AnsweredNo,
    AnsweredUndecided,
    ConfigError,
    Error,
    RefusedError,
    UndecidedError,
)

__version__ = "0.1.0"

# Must be set before torch is imported: threads that spin while they wait cost more than they save on few cores.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

_COMMANDS = {
    "init": ("governance.commands", "init", "Create or migrate a project folder."),
    "ingest": ("ingest.intake.commands", "ingest", "Take footage in, with its rights."),
    "signals": (
        "ingest.signals.commands",
        "signals",
        "Read what files and saved sites say about AI and data mining.",
    ),
    "calibrate": ("governance.calibrate_command", "calibrate", "Measure the detector on your footage."),
    "find": ("ingest.lookup.commands", "find", "Where a clip occurs, with pictures side by side."),
    "index": ("ingest.index.commands", "index", "Build and check the index of a large library."),
    "encoder": ("ingest.encoders.commands", "encoder", "Show, fetch or fit the frame encoder."),
    "clear": ("governance.commands", "clear", "Decide every clip under a policy."),
    "audit": ("governance.audit.commands", "audit", "What is in the library, and what is wrong with it."),
    "why": ("governance.decisions.why_command", "why", "Why a clip is in or out."),
    "catalogue": (
        "ingest.catalogue.commands",
        "catalogue",
        "Load what licensors send: agreements, grants, releases.",
    ),
    "review": ("governance.review.commands", "review", "Settle what is held, under four eyes."),
    "policy": ("governance.policy.commands", "policy", "List, read, compare and test policies."),
    "snapshot": (
        "governance.snapshots.commands",
        "snapshot",
        "Freeze the cleared clips into a signed dataset.",
    ),
    "train": ("training.commands", "train", "Train the reference model on one snapshot and nothing else."),
    "training": ("training.proof.commands", "training", "Check what a training run proves."),
    "attribution": (
        "training.screening.commands",
        "attribution",
        "Whose footage a model consumed, in shares.",
    ),
    "generate": (
        "training.generation.commands",
        "generate",
        "Write clips, each with its Content Credentials.",
    ),
    "outputs": ("training.generation.held_commands", "outputs", "Settle the generated clips that are held."),
    "quality": ("training.quality.commands", "quality", "Measure clips, and keep a card beside each."),
    "publish": (
        "governance.signing.commands",
        "publish",
        "Sign a copy of a clip as published, credentials kept.",
    ),
    "redact": (
        "governance.signing.commands",
        "redact",
        "Take assertions out of a clip, and prove them gone.",
    ),
    "trust": (
        "governance.trust.commands",
        "trust",
        "Show and update whose signatures and time stamps count.",
    ),
    "verify": ("governance.verification.commands", "verify", "Lead a clip back to its licences, offline."),
    "conformance": (
        "governance.conformance.commands",
        "conformance",
        "Hold files against the C2PA conformance programme.",
    ),
    "demo": ("training.commands", "demo", "The whole chain on real footage."),
}


# Commands of groups that belong to a lower package but need a higher one: they meet here.
_JOINED = {"snapshot": (("training.exports.commands", "export"),)}


class _ClosedPipeError(Exception):
    """Whoever read our output has stopped."""


@contextlib.contextmanager
def _closed_pipes_named() -> Iterator[None]:
    """Keep a closed pipe from click and rich: both make it an exit with 1, which would read as a finding."""
    try:
        yield
    except BrokenPipeError as exc:
        raise _ClosedPipeError from exc
    except SystemExit as exc:
        if isinstance(exc.__context__, BrokenPipeError):
            raise _ClosedPipeError from exc
        raise


class LazyGroup(click.Group):
    """A group whose sub-commands are imported when they are called, not when help is shown."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Read the arguments; this is also where help is printed."""
        with _closed_pipes_named():
            return super().make_context(info_name, args, parent, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a sub-command."""
        with _closed_pipes_named():
            return super().invoke(ctx)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of the work."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one sub-command."""
        if cmd_name not in _COMMANDS:
            return None
        module, attribute, _ = _COMMANDS[cmd_name]
        command: click.Command = getattr(importlib.import_module(module), attribute)
        for joined_module, joined_attribute in _JOINED.get(cmd_name, ()):
            assert isinstance(command, click.Group), "only a group can be joined by commands"
            command.add_command(getattr(importlib.import_module(joined_module), joined_attribute))
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands with their one-line help, importing none of them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, help_text) for name, (_, _, help_text) in _COMMANDS.items()])


@click.command(cls=LazyGroup, context_settings={"max_content_width": 100})
@click.version_option(__version__, prog_name="cleartitle")
@click.option("-v", "--verbose", count=True, help="Log more on stderr (-vv: debug).")
@click.pass_context
def main(context: click.Context, verbose: int) -> None:
    """Chain of title for generated video: footage in with its rights, clips out with credentials that lead back.

    Example: cleartitle demo
    """
    level = (logging.WARNING, logging.INFO, logging.DEBUG)[min(verbose, 2)]
    logging.basicConfig(level=level, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    # An interruption that arrives while a connection is closed is passed on to us, and needs no traceback as well.
    logging.getLogger("sqlalchemy.pool").setLevel(logging.CRITICAL)
    # Footage is read in `ingest`, Content Credentials are validated in `governance` above it: they meet here.
    context.obj = _open_credentials


def _open_credentials(project: Any) -> Any:
    from governance.credentials.file_credentials import credentials_reader

    return credentials_reader(project)


def run() -> None:
    """Run the command line and leave with the exit code of the contract."""
    _open_standard_streams()
    # A job manager that ends a run sends SIGTERM; training then leaves a checkpoint, as after Ctrl-C.
    signal.signal(signal.SIGTERM, _interrupt)
    sys.exit(_exit_code())


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _open_standard_streams() -> None:
    """Open what the caller closed (`>&-`) on the null device, so that no file of ours gets its number."""
    for number, name in ((0, "stdin"), (1, "stdout"), (2, "stderr")):
        if getattr(sys, name) is None:
            descriptor = os.open(os.devnull, os.O_RDWR)
            if descriptor != number:
                os.dup2(descriptor, number)
                os.close(descriptor)
            setattr(sys, name, open(number, "w" if number else "r", encoding="utf-8"))  # noqa: PTH123, SIM115


def _exit_code() -> int:
    try:
        outcome = main.main(standalone_mode=False)
        sys.stdout.flush()
        return outcome if isinstance(outcome, int) else 0
    except click.exceptions.Exit as exc:
        return exc.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted; run the same command again to go on", err=True)
        return 130
    except click.ClickException as exc:
        exc.show()
        return 2
    except _ClosedPipeError:
        return _leave_closed_pipe()
    except Error as exc:
        return _explain(exc)
    except OSError as exc:
        hint = "make room and run the same command again" if exc.errno == errno.ENOSPC else None
        _say_error(f"{exc.strerror or exc}: {exc.filename}" if exc.filename else str(exc), hint)
        return 3
    except Exception:  # the process edge: a crash must not look like a finding
        traceback.print_exc()
        click.echo("cleartitle: this is our bug; please report it with the lines above", err=True)
        return 70


def _leave_closed_pipe() -> int:
    """Make sure that nothing more is written to whoever stopped reading, at shutdown either."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return 141


def _explain(error: Error) -> int:
    if not isinstance(error, AnsweredNo | AnsweredMisuse | AnsweredUndecided):
        _say_error(str(error), error.hint)
    if isinstance(error, RefusedError):
        return 1
    if isinstance(error, ConfigError):
        return 2
    return 3 if isinstance(error, UndecidedError) else 70


def _say_error(message: str, hint: str | None) -> None:
    from db.terminal import safe_text

    click.secho("error: ", fg="red", bold=True, nl=False, err=True)
    click.echo(safe_text(message), err=True)
    if hint:
        click.echo(f"  try: {safe_text(hint)}", err=True)


if __name__ == "__main__":
    run()
