"""The order of the rows: the same pairs in the same step for every method, whole passes, rows of like length."""

from __future__ import annotations

from stages.training.row_order import seen_order, unpaired_order


def test_all_pairwise_methods_and_kto_see_the_same_pairs_in_the_same_step() -> None:
    unpaired = [
        {"id": f"{pair}-{side}", "pair": f"p{pair:02}", "label": side == "chosen"}
        for pair in range(50)
        for side in ("chosen", "rejected")
    ]
    lengths = [10 + pair % 7 for pair in range(50)]
    pairs_order = seen_order(lengths, steps=5, rows_per_step=8, seed=4)
    by_row = [lengths[index // 2] for index in range(100)]
    single_order = unpaired_order(unpaired, by_row, steps=5, rows_per_step=16, rows_per_microbatch=8, seed=4)
    for step in range(5):
        seen = [f"p{index:02}" for index in pairs_order[step * 8 : step * 8 + 8]]
        rows = [unpaired[index] for index in single_order[step * 16 : step * 16 + 16]]
        assert sorted(row["pair"] for row in rows) == sorted(seen * 2)
        for micro in (rows[:8], rows[8:]):
            assert sum(row["label"] for row in micro) == 4
            for row, neighbour in zip(micro, [micro[-1], *micro[:-1]], strict=True):
                assert row["pair"] != neighbour["pair"]


def test_every_pass_over_the_rows_is_whole_and_shuffled_anew() -> None:
    order = seen_order([5] * 16, steps=24, rows_per_step=2, seed=1)
    passes = [order[start : start + 16] for start in (0, 16, 32)]
    assert all(sorted(one) == list(range(16)) for one in passes)
    assert passes[0] != passes[1]
    assert seen_order([5] * 16, steps=24, rows_per_step=2, seed=2) != order


def test_a_step_holds_rows_of_like_length() -> None:
    lengths = [(7 * index) % 64 for index in range(64)]
    order = seen_order(lengths, steps=8, rows_per_step=8, seed=1)
    spreads = [max(batch) - min(batch) for batch in ([lengths[i] for i in order[s : s + 8]] for s in range(0, 64, 8))]
    assert max(spreads) == 7
    firsts = [lengths[order[start]] for start in range(0, 64, 8)]
    assert firsts != sorted(firsts)
