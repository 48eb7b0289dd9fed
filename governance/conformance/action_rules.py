"""Statements on actions: where they stand, what they are called, what they say of their source."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from governance.conformance import vocabulary as v
from governance.conformance.crjson import CrManifest, MalformedValueError, is_one_of, items, member, text
from governance.conformance.statement import Check, check_each, statement

_PROGRAMME = "Conformance programme 0.2"


def _name(action: Any) -> str:
    return text(member(action, "action"))


def _named(manifest: CrManifest, name: str) -> list[Any]:
    return [action for action in manifest.actions if member(action, "action") == name]


def _has_source_type(action: Any) -> bool:
    return member(action, "digitalSourceType") is not None


def _is_perceptible(action: Any) -> bool:
    exempt = v.INCEPTIONS | v.NON_EDITORIAL_ACTIONS | v.SOURCE_TYPE_EXEMPT_ACTIONS
    return _name(action).startswith("c2pa.") and _name(action) not in exempt


@statement(
    "validation:mandatory_dst_for_perceptible_transformations",
    _PROGRAMME,
    "Each standard action that changes what is seen or heard has a digital source type.",
)
def perceptible_actions_have_source_types(manifest: CrManifest) -> Check:
    """Placed ingredients bring their own."""
    subjects = filter(_is_perceptible, manifest.actions)
    return check_each(subjects, lambda action: None if _has_source_type(action) else _name(action))


@statement(
    "validation:mandatory_all_actions_included",
    _PROGRAMME,
    "Each actions assertion says whether it lists all actions.",
)
def all_actions_included_is_said(manifest: CrManifest) -> Check:
    """`false` will do."""

    def _violation(assertion: Any) -> str | None:
        return "allActionsIncluded is missing" if member(assertion, "allActionsIncluded") is None else None

    return check_each(manifest.action_assertions, _violation)


@statement(
    "validation:no_dst_for_opened_action", _PROGRAMME, "Opening an asset states no digital source type."
)
def opened_has_no_source_type(manifest: CrManifest) -> Check:
    """What was opened has one of its own."""

    def _violation(action: Any) -> str | None:
        return str(member(action, "digitalSourceType")) if _has_source_type(action) else None

    return check_each(_named(manifest, "c2pa.opened"), _violation)


@statement(
    "validation:inception_action_position",
    "C2PA 2.2, section 18.14.2",
    "The first actions assertion that the claim created is of version 2 and begins with created or opened.",
)
def inception_comes_first(manifest: CrManifest) -> Check:
    """Without a `c2pa.created` action anywhere, what comes first is not looked at, as in the rubric."""
    urls = [text(member(reference, "url")) for reference in manifest.created_assertions()]
    first = next((url for url in urls if "c2pa.actions" in url), "")
    if not first.endswith("c2pa.actions.v2"):
        return Check(num_subjects=1, violations=(first or "the claim created no actions assertion",))
    if not _named(manifest, "c2pa.created"):
        return Check(num_subjects=1)
    if is_one_of(member(manifest.actions[0], "action"), v.INCEPTIONS):
        return Check(num_subjects=1)
    return Check(num_subjects=1, violations=(f"begins with {_name(manifest.actions[0])}",))


@statement(
    "validation:no_deprecated_actions",
    "C2PA 2.2, section 18.14.11 and appendix C.1",
    "No action is deprecated.",
)
def no_deprecated_actions(manifest: CrManifest) -> Check:
    """The list is that of the rubric."""

    def _violation(action: Any) -> str | None:
        name = member(action, "action")
        return name if isinstance(name, str) and name in v.DEPRECATED_ACTIONS else None

    return check_each(manifest.actions, _violation)


@statement(
    "validation:no_unsupported_actions",
    "C2PA 2.2, sections 18.14 and 18.14.12",
    "Each action of the standard's name space is one of the standard.",
)
def standard_actions_are_known(manifest: CrManifest) -> Check:
    """Actions that begin with `c2pa.`."""
    subjects = (action for action in manifest.actions if _name(action).startswith("c2pa."))
    return check_each(subjects, lambda action: None if _name(action) in v.ACTIONS else _name(action))


@statement(
    "validation:no_unrecognized_custom_actions",
    "C2PA 2.2, sections 18.14 and 18.14.12",
    "Each other action has its owner's name space.",
)
def custom_actions_have_name_spaces(manifest: CrManifest) -> Check:
    """A dot is what tells."""
    subjects = (action for action in manifest.actions if not _name(action).startswith("c2pa."))
    return check_each(
        subjects, lambda action: None if "." in _name(action) else (_name(action) or "an unnamed action")
    )


@statement(
    "validation:no_unrecognized_custom_action_parameters",
    "C2PA 2.2, section 18.14.4.7",
    "Each parameter of an action is one of the standard or has its owner's name space.",
)
def custom_parameters_have_name_spaces(manifest: CrManifest) -> Check:
    """A dot is what tells."""
    names = [name for action in manifest.actions for name in _parameters(action)]
    return check_each(names, lambda name: None if name in v.PARAMETERS or "." in name else name)


def _parameters(action: Any) -> Mapping[str, Any]:
    found = member(action, "parameters")
    if found is None:
        return {}
    if not isinstance(found, Mapping):
        raise MalformedValueError("parameters of an action are no object")
    return found


@statement(
    "validation:discouraged_legacy_action_parameters",
    "C2PA 2.2, sections 18.14.4.1 and 18.14.12",
    "No action keeps its description, or a single ingredient, among its parameters.",
    is_advice=True,
)
def no_legacy_parameters(manifest: CrManifest) -> Check:
    """Both have a place of their own since version 2 of the assertion."""
    subjects = [action for action in manifest.actions if member(action, "parameters") is not None]

    def _violation(action: Any) -> str | None:
        parameters = member(action, "parameters")
        legacy = ("description", "ingredient")
        if all(member(parameters, name) is None for name in legacy):
            return None
        return str(member(action, "action") or "an unnamed action")

    return check_each(subjects, _violation)


@statement(
    "validation:mandatory_dst_for_created_action",
    "C2PA 2.2, sections 18.14.2 and 18.14.4.5",
    "What was created states its digital source type.",
)
def created_has_source_type(manifest: CrManifest) -> Check:
    """Each `c2pa.created`."""
    return check_each(
        _named(manifest, "c2pa.created"),
        lambda action: None if _has_source_type(action) else "c2pa.created without digitalSourceType",
    )


@statement(
    "validation:all_actions_included_opened",
    "C2PA 2.4, section 18.15.3",
    "What only opens an asset and saves it again says that this was all.",
)
def opened_alone_is_complete(manifest: CrManifest) -> Check:
    """Applies where `c2pa.opened` is the only action."""
    if len(manifest.actions) != 1 or not _named(manifest, "c2pa.opened"):
        return Check(num_subjects=0)
    said = member(manifest.assertions.get("c2pa.actions.v2"), "allActionsIncluded")
    return Check(num_subjects=1, violations=() if said is True else ("allActionsIncluded is not true",))


@statement(
    "validation:opened_action_ingredient_reference",
    "C2PA 2.4, sections 15.10.3.2.3 and 18.15.4.7",
    "Opening an asset refers to exactly one ingredient.",
)
def opened_refers_to_its_parent(manifest: CrManifest) -> Check:
    """Each `c2pa.opened`."""

    def _violation(action: Any) -> str | None:
        references = member(member(action, "parameters"), "ingredients")
        if references is not None and not isinstance(references, list):
            return "c2pa.opened with ingredients that are no list"
        count = len(items(references))
        return None if count == 1 else f"c2pa.opened with {count} ingredients"

    return check_each(_named(manifest, "c2pa.opened"), _violation)
