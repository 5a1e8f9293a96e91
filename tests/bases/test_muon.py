"""The optimiser of the embedded base, against torch's Muon and AdamW and against a singular value decomposition."""

from __future__ import annotations

import copy

import pytest
import torch

from stages.bases.muon import Muon, orthogonal

SHAPES = [(64, 128), (128, 64), (128, 64), (96, 96), (32, 96)]


def weights(seed: int = 0) -> tuple[list[torch.nn.Parameter], list[torch.nn.Parameter]]:
    """Matrices, and the parameters that are none of Muon's: an embedding and a vector."""
    torch.manual_seed(seed)
    matrices = [torch.nn.Parameter(torch.randn(shape) * 0.02) for shape in SHAPES]
    return matrices, [torch.nn.Parameter(torch.randn(50, 16)), torch.nn.Parameter(torch.ones(16))]


def take_steps(optimizers: list[torch.optim.Optimizer], parameters: list[torch.nn.Parameter], seeds: range) -> None:
    for seed in seeds:
        torch.manual_seed(seed)
        for parameter in parameters:
            parameter.grad = torch.randn_like(parameter)
        for optimizer in optimizers:
            optimizer.step()


def muon(matrices: list[torch.nn.Parameter], others: list[torch.nn.Parameter]) -> Muon:
    return Muon(matrices, others, lr=0.01, weight_decay=0.1, betas=(0.9, 0.95))


def test_steps_equal_those_of_torchs_own_optimisers() -> None:
    """Its AdamW gives the same bits; its Muon computes in bfloat16, which three steps of some 0.01 carry to 5e-4."""
    matrices, others = weights()
    expected_matrices, expected_others = copy.deepcopy(matrices), copy.deepcopy(others)
    take_steps([muon(matrices, others)], [*matrices, *others], range(3))
    theirs = torch.optim.Muon(
        expected_matrices, lr=0.01, weight_decay=0.1, momentum=0.95, adjust_lr_fn="match_rms_adamw"
    )
    adamw = torch.optim.AdamW(expected_others, lr=0.01, weight_decay=0.1, betas=(0.9, 0.95))
    take_steps([theirs, adamw], [*expected_matrices, *expected_others], range(3))
    for matrix, expected, start in zip(matrices, expected_matrices, weights()[0], strict=True):
        assert (expected - start).abs().max() > 0.01
        torch.testing.assert_close(matrix, expected, rtol=0, atol=5e-4)
    assert all(torch.equal(one, other) for one, other in zip(others, expected_others, strict=True))


@pytest.mark.parametrize("rows", [1, 8, 128])
def test_an_orthogonal_matrix_keeps_directions_and_levels_their_strength(rows: int) -> None:
    torch.manual_seed(rows)
    left, _, right = torch.linalg.svd(torch.randn(3, rows, 128), full_matrices=False)
    strengths = torch.logspace(0, -2, rows)
    found = orthogonal((left * strengths) @ right)
    along = (left.mT @ found @ right.mT).diagonal(dim1=1, dim2=2)
    assert along.min() > 0.6
    assert along.max() < 1.25
    torch.testing.assert_close((left * along.unsqueeze(1)) @ right, found, rtol=0, atol=1e-4)


def test_a_resumed_optimiser_goes_on_with_the_same_bits() -> None:
    matrices, others = weights()
    optimizer = muon(matrices, others)
    take_steps([optimizer], [*matrices, *others], range(2))
    resumed_matrices, resumed_others = copy.deepcopy(matrices), copy.deepcopy(others)
    resumed = muon(resumed_matrices, resumed_others)
    resumed.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    take_steps([optimizer], [*matrices, *others], range(2, 4))
    take_steps([resumed], [*resumed_matrices, *resumed_others], range(2, 4))
    for one, other in zip([*matrices, *others], [*resumed_matrices, *resumed_others], strict=True):
        assert torch.equal(one, other)
