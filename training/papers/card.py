"""The model card: what somebody should know before using the model, as JSON and as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from training.papers.record import ModelPaperwork

CARD_NAME = "model-card.json"
CARD_TEXT_NAME = "model-card.md"
_LIMITS = (
    "A model of few clips repeats them; what it makes is held against its footage where it is published.",
    "It knows the words of its captions and no others; words it never met are ignored.",
    "Nothing was measured of fairness, of likeness to persons, or of physical truth.",
)
_ADAPTER_LIMITS = (
    _LIMITS[0],
    "What the base model learnt, and of whom, nobody here knows: what it shows beside the footage comes from there.",
    _LIMITS[2],
)


def model_card(papers: ModelPaperwork) -> dict[str, Any]:
    """Return the card as JSON values."""
    totals, held_out = papers.totals, papers.snapshot.get("held_out", {})
    return {
        "name": papers.name,
        "urn": papers.urn,
        "weights_sha256": papers.weights_sha256,
        "architecture": papers.architecture,
        "clean": papers.is_clean,
        "base": None if papers.base is None else dict(papers.base),
        "num_parameters": papers.num_parameters,
        "trained": {
            "run": papers.run_id,
            "num_steps": papers.num_steps,
            "begun": papers.intent["declared_at"],
            "finished": papers.finished_at,
            "final_loss": papers.final_loss,
            "ledger_root": papers.ledger_root,
            "environment": papers.intent["environment"],
            "network": [dict(claim) for claim in papers.networks],
            "retrains": papers.intent.get("retrains"),
        },
        "data": {
            "snapshot": papers.snapshot["name"],
            "urn": papers.intent["snapshot"]["urn"],
            "merkle_root": papers.intent["snapshot"]["merkle_root"],
            "num_clips": totals["num_clips"],
            "num_clips_read": papers.num_clips_read,
            "num_readings": papers.num_readings,
            "duration_seconds": totals["duration_seconds"],
            "num_clips_held_out": held_out.get("num_clips", 0),
            "policy": papers.intent["policy"],
            "licenses": [dict(share) for share in papers.licenses],
            "uncleared_data": _uncleared_data(papers),
        },
        "compute": dict(papers.effort),
        "use": {
            "purpose": papers.purpose,
            "commercial_release": papers.is_promotable,
            "expires_at": papers.snapshot["expires_at"],
            "limits": list(_LIMITS if papers.base is None else _ADAPTER_LIMITS),
        },
    }


def card_text(papers: ModelPaperwork) -> str:
    """Return the card as Markdown."""
    card = model_card(papers)
    trained, data, use = card["trained"], card["data"], card["use"]
    release = "may be released commercially" if use["commercial_release"] else "for research only"
    until = use["expires_at"] or "no end"
    rows = {
        "weights": f"sha256 `{card['weights_sha256']}`",
        "snapshot": f"{_cell(data['snapshot'])}, Merkle root `{data['merkle_root']}`",
        "footage": f"{data['num_clips']} clips, {data['duration_seconds']:.1f} s; "
        f"{data['num_clips_read']} were read, {data['num_readings']} times in all",
        "held out": f"{data['num_clips_held_out']} clips, never read by the run",
        "policy": f"{_cell(data['policy']['name'])}, sha256 `{data['policy']['digest']}`",
        "purpose": f"{_cell(use['purpose'])}; {release}; licences run until: {until}",
        "run": f"`{trained['run']}`, {trained['num_steps']} steps, final loss {trained['final_loss']:.4f}",
        "ledger": f"root `{trained['ledger_root']}`; `cleartitle training verify {card['name']}` checks it",
        "network": _networks(trained["network"]),
        "other data": data["uncleared_data"],
    }
    if trained["retrains"] is not None:
        rows["in the place of"] = _retrained(trained["retrains"])
    shares = [
        (_cell(share["license_expression"]), share["num_clips"], f"{share['duration_seconds']:.1f}")
        for share in data["licenses"]
    ]
    if card["base"] is not None:
        rows["base model"] = _base_text(card["base"])
    size = f"{card['num_parameters']:,} parameters ({card['architecture']})"
    parts = [
        f"# {_cell(card['name'])}",
        _lead(card, size),
        _table(("", ""), rows.items()),
        "## Licences",
        _table(("licence", "clips", "seconds"), shares),
        "## Compute",
        _table(("", ""), _compute_rows(card["compute"]).items()),
        "Left out:",
        "\n".join(f"- {what}" for what in card["compute"]["left_out"]),
        "## Limits",
        "\n".join(f"- {limit}" for limit in use["limits"]),
    ]
    return "\n\n".join(parts) + "\n"


def _uncleared_data(papers: ModelPaperwork) -> str:
    if papers.base is None:
        return "none: tokenizer, text embedding and model were trained on the snapshot alone"
    return f"whatever base model {papers.base['name']} was trained on ({papers.base['training_data']})"


def _lead(card: Mapping[str, Any], size: str) -> str:
    if card["base"] is None:
        return f"A text-to-video model of {size}, trained on licensed footage and nothing else."
    return f"An adapter of {size} for {_cell(card['base']['name'])}: {card['base']['attestation']}."


def _base_text(base: Mapping[str, Any]) -> str:
    limits = [f"not in {', '.join(base['excluded_territories'])}"] if base["excluded_territories"] else []
    limits += [f"up to a revenue of {base['revenue_limit']}"] if base["revenue_limit"] else []
    return _cell(
        f"{base['name']} ({base['pipeline']}), record {base['digest']}; weights under {base['license_expression']}"
        f"{''.join(f', {limit}' for limit in limits)}; training data {base['training_data']}, says {base['reviewer']}"
    )


def _compute_rows(compute: Mapping[str, Any]) -> dict[str, str]:
    threshold = compute["general_purpose"]
    side = "above" if threshold["reaches_threshold"] else "below"
    joules = compute["energy_joules"]
    energy = compute["energy_method"] if joules is None else f"{joules:.3g} J ({compute['energy_method']})"
    rows = {
        "operations": f"{compute['flop']:.3g} FLOP in {compute['num_steps_taken']} steps ({compute['flop_method']})",
        "general-purpose AI": f"{side} {threshold['threshold_flop']:.0e} FLOP ({threshold['source']})",
        "time": f"{compute['wall_seconds']:.1f} s, CPU {compute['cpu_seconds']:.1f} s, GPU "
        f"{compute['gpu_seconds']:.1f} s",
        "energy": energy,
        "machine": _cell("; ".join(compute["machines"]) or "not known"),
    }
    if "modification" in compute:
        rows["modification"] = _modification_text(compute["modification"])
    return rows


def _modification_text(modification: Mapping[str, Any]) -> str:
    side = "above" if modification["reaches_threshold"] else "below"
    return f"{side} {modification['threshold_flop']:.3g} FLOP ({modification['source']})"


def _networks(claims: Sequence[Mapping[str, Any]]) -> str:
    told = "; ".join(f"{_cell(claim['network'])} from step {claim['from_step']}" for claim in claims)
    return f"{told}, as the runner says"


def _retrained(retrains: Mapping[str, Any]) -> str:
    num_clips = len(retrains["left_out"])
    return f"{_cell(retrains['model'])} (run `{retrains['run_id']}`), trained again without {num_clips} of its clips"


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(str(cell) for cell in line)} |" for line in lines)


def _cell(text: str) -> str:
    """Return text that came from others as plain text in a table of Markdown."""
    return "".join("\\" + char if char in "|`<>[]*_\\" else char for char in str(text)).replace("\n", " ")
