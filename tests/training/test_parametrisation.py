"""What the transformer's numbers mean."""

from __future__ import annotations

import torch

from training.parametrisation import Footage, Spectrum
from training.randomness import generator_for


def test_times_lie_inside_the_unit_interval_and_rather_in_the_noise() -> None:
    times = Spectrum.times.draw(4000, generator_for("seed", "times", 0))
    assert 0.0 < float(times.min()) < 0.1
    assert 0.9 < float(times.max()) < 1.0
    assert abs(float(times.logit().mean()) + 0.4) < 0.05


def test_pixels_are_learned_nearer_to_noise_and_never_where_the_way_is_nearly_over() -> None:
    generator = generator_for("seed", "times", 0)
    times = Footage.times.draw(4000, generator)
    assert abs(float(times.logit().mean()) + 0.8) < 0.05
    assert abs(float(times.logit().std()) - 0.8) < 0.05
    assert Footage.times.latest == 0.95
    late = torch.cat([Footage.times.draw(1_000_000, generator) for _ in range(3)])
    assert float(late.max()) <= 0.95


def test_the_same_error_costs_more_in_a_faint_component() -> None:
    weight = Spectrum(torch.tensor([1.8, 0.2])).error_weight(torch.tensor([0.2]))
    assert weight.shape == (1, 1, 2)
    assert 1.5 * float(weight[0, 0, 0]) < float(weight[0, 0, 1]) < 9.0 * float(weight[0, 0, 0])


def test_who_says_the_footage_has_its_velocity() -> None:
    """From z = (1 - t) e + t x, the velocity is x - e."""
    noise, footage = torch.randn(2, 2, 3, 4, generator=generator_for("seed", "pair", 0))
    time = torch.tensor([0.1, 0.95])
    noisy = (1 - time[:, None, None]) * noise + time[:, None, None] * footage
    found = Footage()
    assert torch.equal(found.reading(noisy, time), noisy)
    assert torch.allclose(found.velocity(noisy, time, footage), footage - noise, atol=1e-4)
    assert torch.equal(found.error_weight(time), torch.ones(2, 1, 1))


def test_an_error_of_the_footage_costs_by_the_time_that_is_left() -> None:
    """The loss is that of the velocity: an error of x counts 1 / (1 - t) as much."""
    nothing, time = torch.zeros(2, 1, 1), torch.tensor([0.5, 0.9])
    missed = Footage().velocity(nothing, time, torch.ones(2, 1, 1))
    assert torch.allclose(missed.flatten(), torch.tensor([2.0, 10.0]))
