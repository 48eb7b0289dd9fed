"""The `policy` commands: list, show, test, facts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from db.errors import AnsweredNo
from db.terminal import heading, json_option, note, project_option, say, say_json, say_table

if TYPE_CHECKING:
    from governance.policy_files import PolicyFile


@click.group()
def policy() -> None:
    """List, show and test policies.

    Example: cleartitle policy test commercial-training
    """


@policy.command(name="list")
@json_option
@project_option
def list_(*, as_json: bool, project_dir: Path) -> None:
    """List the project's policies and the shipped ones; of two with one name the first counts.

    Example: cleartitle policy list
    """
    from governance.policy_files import list_policy_files

    rows = []
    for file in list_policy_files(project_dir / "policies"):
        loaded = file.load()
        origin = "shipped" if file.is_shipped else "project"
        rows.append((loaded.name, loaded.version, origin, loaded.digest, loaded.title))
    if as_json:
        for row in rows:
            say_json(dict(zip(("name", "version", "origin", "digest", "title"), row, strict=True)))
        return
    say_table(
        ("policy", "version", "from", "digest", "title"), [(n, v, o, d[:16], t) for n, v, o, d, t in rows]
    )


@policy.command()
@click.argument("name")
@json_option
@project_option
def show(name: str, *, as_json: bool, project_dir: Path) -> None:
    """Show the rules of a policy in words: what excludes, what holds, what clears.

    Example: cleartitle policy show commercial-training
    """
    from governance.policy_files import find_policy

    found = find_policy(name, project_dir / "policies")
    if as_json:
        for rule in found.rules:
            effect_and_words = {"effect": rule.effect.value, "because": rule.because, "remedy": rule.remedy}
            say_json(
                {"policy": found.name, "rule": rule.id, "code": rule.code, "when": rule.when.source}
                | effect_and_words
            )
        return
    say(f"{found.name} {found.version}: {found.title}")
    say(f"sha256 {found.digest}  {found.source}")
    say(f"purpose {found.purpose or 'any'}, use {found.use.value if found.use else 'any'}")
    if found.about:
        say(found.about)
    for effect in ("exclude", "hold", "clear"):
        heading(f"{effect}:")
        for rule in found.rules:
            if rule.effect == effect:
                say(f"  {rule.code}: {rule.because}")


@policy.command()
@click.argument("name", required=False)
@json_option
@project_option
def test(name: str | None, *, as_json: bool, project_dir: Path) -> None:
    """Run the test cases beside a policy, or those of all policies. Exit 1 if one fails or a rule has none.

    Example: cleartitle policy test commercial-training
    """
    from governance.policy_files import find_policy_file, list_policy_files

    folder = project_dir / "policies"
    files = [find_policy_file(name, folder)] if name else list(list_policy_files(folder))
    num_failed = sum(not _test_one(file, as_json=as_json) for file in files)
    if num_failed:
        raise AnsweredNo("a policy did not pass its test cases")


def _test_one(file: PolicyFile, *, as_json: bool) -> bool:
    """Print the result of every case of one policy; return whether all passed and every rule has one."""
    from governance.policy_tests import run_policy_tests, untested_rules

    results = run_policy_tests(file)
    untested = untested_rules(file.load(), results)
    for result in results:
        got = {"outcome": result.decision.outcome.value, "codes": list(result.codes)}
        if as_json:
            say_json({"policy": file.name, "case": result.name, "is_passed": result.is_passed, **got})
        elif not result.is_passed:
            wanted = f"{result.expected_outcome.value} ({result.expected_code})"
            say(f"failed: {result.name}: expected {wanted}, got {got['outcome']} ({', '.join(result.codes)})")
    for rule in untested:
        note(f"{file.name}: no test case expects rule {rule}")
    num_passed = sum(result.is_passed for result in results)
    if not as_json:
        say(f"{file.name}: {num_passed} of {len(results)} cases passed")
    return num_passed == len(results) and not untested


@policy.command()
@json_option
def facts(*, as_json: bool) -> None:
    """List the facts that conditions may use, with the values that they can have.

    Example: cleartitle policy facts
    """
    from governance.facts import fact_types

    rows = [(name, fact.kind, list(fact.values)) for name, fact in fact_types().items()]
    if as_json:
        for name, kind, values in rows:
            say_json({"fact": name, "type": kind, "values": values})
        return
    say_table(("fact", "type", "values"), [(name, kind, ", ".join(values)) for name, kind, values in rows])
