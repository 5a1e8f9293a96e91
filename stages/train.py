"""Stage `train@<model>`: train one model of the comparison, for every seed.

Reads its start (`models/base` or the adapter of another model, same seed), its rows of `data/prepared` without those
that `contract` dropped, and its params. Writes `models/<model>/` (the first seed's adapter, the others under
`seeds/`), `metrics/train/<model>/` (curves and what was spent) and `metrics/timing/<model>.json`.

LoRA on all seven projections; a preference method continues the SFT adapter, and its reference is that same start.
Killed at any moment, `dvc repro` resumes from the last minute's checkpoint and ends in the same bytes.

With several processes (`launch` in params.yaml) each runs this file and takes its turn at the microbatches of a step;
the first alone writes and prints, and the others wait for it.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Sequence
from pathlib import Path

from stages import launch
from stages.bases import loading
from stages.bases.adapters import start_adapter
from stages.core import paths, ranks
from stages.core.errors import PipelineError, run_stage
from stages.core.files import read_json, replaced_folder, write_json
from stages.core.host import describe_host
from stages.core.params import Params, load_params
from stages.training.curves import write_curves
from stages.training.monitor import mean_values
from stages.training.one_run import train_one
from stages.training.seen_rows import read_rows


def write_outputs(name: str, params: Params, finals: Sequence[Path], rows: int, dropped: int) -> None:
    """The stage's outputs, made of what `train_one` left for each seed; then its scratch folders go."""
    method, profile = params.train[name], params.active
    results = [read_json(final / "result.json") for final in finals]
    with replaced_folder(paths.model(name)) as model_folder, replaced_folder(paths.train_metrics(name)) as curves:
        for seed, final in zip(profile.seeds, finals, strict=True):
            place = Path() if seed == profile.seeds[0] else Path("seeds") / str(seed)
            shutil.copytree(final / "adapter", model_folder / place, dirs_exist_ok=True)
            write_curves(read_json(final / "history.json"), curves / place)
        first = results[0]
        summary = {key: value for key, value in first.items() if key not in ("seed", "loss_first", "loss_final")}
        if "displacement" in first:
            summary["displacement"] = mean_values([result["displacement"] for result in results])
        write_json(
            curves / "summary.json",
            summary
            | {
                "model": name,
                "method": method.method,
                "init": method.init,
                "data": method.data,
                "loss_first": sum(result["loss_first"] for result in results) / len(results),
                "loss_final": sum(result["loss_final"] for result in results) / len(results),
                "rows_available": rows,
                "rows_dropped": dropped,
                "epochs": first["rows_seen"] / rows,
                "per_seed": results,
            },
        )
    timings = [read_json(final / "timing.json") for final in finals]
    write_json(paths.timing(name), {"model": name, "host": describe_host(), "seeds": timings})
    for seed in profile.seeds:
        for folder in paths.scratch_root().glob(f"train-{name}-{seed}-*"):
            shutil.rmtree(folder, ignore_errors=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="a key of params.yaml: train")
    name = parser.parse_args().model
    params = load_params()
    if name not in params.train:
        raise PipelineError(f"{name!r} is not a key of train in {paths.PARAMS}: known are {', '.join(params.train)}")
    method, profile = params.train[name], params.active
    start_adapter(method.init, profile.seeds[0], profile.seeds)
    rows, lengths, dropped = read_rows(name, method)
    tokenizer = loading.load_tokenizer()
    if params.launch.by != "python" and not ranks.is_process_of_several():
        launch.start(params.launch, "stages.train", name)
        return
    loading.configure_torch(profile, params.gpu)
    launch.join(params.launch)
    print(
        f"{name}: {method.method} on {len(rows)} rows of {method.data}, from {method.init}, {len(profile.seeds)} seeds"
    )
    print(f"{name}: {ranks.processes()} x {loading.describe_choices(profile, params.gpu)}")
    finals = [train_one(name, params, rows, lengths, tokenizer, seed) for seed in profile.seeds]
    if ranks.is_first():
        write_outputs(name, params, finals, len(rows), dropped)
    launch.leave()


if __name__ == "__main__":
    run_stage(main)
