"""Whether the grants that a model relies on let it draw what a prompt asks for."""

from __future__ import annotations

from dataclasses import dataclass

from db.vocabularies import OutputConstraint
from training.errors import PromptRefused
from training.generation.generator import Generator
from training.generation.prompt_clauses import ClauseFinding, Standing, check_clauses
from training.screening.result import ScreenOutcome, ScreenResult


@dataclass(frozen=True, kw_only=True)
class Permission:
    """Leave to draw a prompt, and what is to be said beside it. Only `permission_for` gives one."""

    findings: tuple[ClauseFinding, ...]

    @property
    def doubts(self) -> tuple[str, ...]:
        """What a person must judge when the clip is there; if any, it is held."""
        return self._sentences(Standing.DOUBTFUL)

    @property
    def not_examined(self) -> tuple[str, ...]:
        """Constraints that the prompt keeps and that nobody looked for in the pictures."""
        return self._sentences(Standing.NOT_EXAMINED)

    def _sentences(self, standing: Standing) -> tuple[str, ...]:
        return tuple(finding.sentence for finding in self.findings if finding.standing is standing)


def permission_for(generator: Generator, prompt: str) -> Permission:
    """Read a prompt for what the grants of the model's snapshot forbid.

    Raises `PromptRefused`, naming clause, grant and rights holder, if it asks for it.
    """
    findings = check_clauses(
        prompt,
        generator.snapshot.output_clauses,
        people=generator.people,
        vocabulary=generator.trained.vocabulary,
    )
    breaches = [finding.sentence for finding in findings if finding.standing is Standing.BREACHED]
    if breaches:
        raise PromptRefused(
            f"the prompt {prompt!r} asks for what is forbidden. {'. '.join(breaches)}",
            hint="ask for something else; nothing was drawn",
        )
    return Permission(findings=findings)


def shows_protected_scene(generator: Generator, screened: ScreenResult) -> bool:
    """Return whether a refused clip shows a scene again whose grant forbids that: no person can then let it through."""
    protected = {
        clip_id
        for clause in generator.snapshot.output_clauses
        if clause.constraint is OutputConstraint.NO_SCENE_RECREATION
        for clip_id in clause.clip_ids
    }
    return any(
        match.outcome is ScreenOutcome.REFUSED and not protected.isdisjoint(match.training_clips)
        for match in screened.matches
    )
