"""Rows a second and peak memory of `prepare` over growing numbers of SFT rows: does the cost stay linear?

    python -m tests.benchmarks.prepare_at_scale --rows 10000 100000 1000000

For each size it writes that many synthetic rows of about 60 words (words of `data/raw/instructions` in random order,
one row in twenty a near copy of an earlier one) to a temporary folder beside a copy of `data/raw` and params.yaml, and
runs the stage there in a process of its own. A run without rows comes first: what it takes (our own rows, the corpus)
is no cost of the user's and is subtracted from the seconds, but not from the memory. Not a test: a million rows take
minutes and 2 GB of disk, and the result belongs to a machine.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from ruamel.yaml import YAML

from stages.core import paths
from stages.core.files import Row, read_json, read_jsonl
from tests.support.clones import ROOT

PROMPT_WORDS, LEAST_ANSWER_WORDS, MOST_ANSWER_WORDS = 10, 30, 70
COPIED = 20  # one row in so many is a near copy
REMEMBERED = 1000  # rows that a near copy is made of


def synthetic_rows(count: int, words: Sequence[str], seed: int = 1) -> Iterator[Row]:
    """Rows whose texts differ, but for the near copies, which change the last word of one of the first rows."""
    generator = random.Random(seed)
    first: list[Row] = []
    for number in range(count):
        if number % COPIED == COPIED - 1:
            row = dict(generator.choice(first))
            row["completion"] = f"{row['completion'].rsplit(' ', 1)[0]} {generator.choice(words)}."
        else:
            length = generator.randint(LEAST_ANSWER_WORDS, MOST_ANSWER_WORDS)
            row = {
                "prompt": " ".join(generator.choices(words, k=PROMPT_WORDS)) + "؟",
                "completion": " ".join(generator.choices(words, k=length)) + ".",
            }
        if len(first) < REMEMBERED:
            first.append(row)
        yield row | {"id": str(number)}


def vocabulary() -> list[str]:
    """The distinct words of our hand-written answers, sorted."""
    files = sorted((ROOT / paths.INSTRUCTIONS).glob("*.jsonl"))
    return sorted(
        {word.strip(".،؛:؟!«»()") for f in files for row in read_jsonl(f) for word in row["completion"].split()}
    )


def lay_out(folder: Path, count: int, words: Sequence[str]) -> None:
    shutil.copytree(ROOT / paths.RAW, folder / paths.RAW)
    yaml = YAML()
    params = yaml.load((ROOT / paths.PARAMS).read_text(encoding="utf-8"))
    if count:
        params["data"]["sources"] = [{"name": "synthetic", "path": "rows.jsonl", "license": "CC0-1.0"}]
        with (folder / "rows.jsonl").open("w", encoding="utf-8") as file:
            file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in synthetic_rows(count, words))
    with (folder / paths.PARAMS).open("w", encoding="utf-8") as file:
        yaml.dump(params, file)


def run(folder: Path) -> tuple[float, float, float]:
    """Seconds, CPU seconds and peak memory (resident set, MB) of the stage in a process of its own."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "0", "TQDM_DISABLE": "1"}
    began = time.perf_counter()
    child = os.spawnve(
        os.P_NOWAIT,
        "/usr/bin/env",
        ["env", f"--chdir={folder}", sys.executable, "-m", "stages.prepare"],
        environment,
    )
    _, status, usage = os.wait4(child, 0)
    if status:
        raise SystemExit(f"prepare failed in {folder}: see above")
    return time.perf_counter() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def measure(count: int, words: Sequence[str]) -> tuple[float, float, float, int]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lay_out(folder, count, words)
        taken = run(folder)
        own = read_json(folder / paths.DATA_METRICS)["own"]
    return *taken, sum(n for file, n in own.items() if file.startswith("sft/"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000])
    sizes = parser.parse_args().rows
    words = vocabulary()
    fixed, fixed_cpu, memory, _ = measure(0, words)
    lines = [f"{'rows':>9}  {'kept':>9}  {'seconds':>8}  {'rows/s':>7}  {'rows/CPU s':>10}  {'peak MB':>7}"]
    lines.append(f"{0:>9,}  {0:>9,}  {fixed:>8.1f}  {'':>7}  {'':>10}  {memory:>7.0f}")
    for count in sizes:
        seconds, cpu, memory, kept = measure(count, words)
        speed, cpu_speed = count / (seconds - fixed), count / (cpu - fixed_cpu)
        lines.append(f"{count:>9,}  {kept:>9,}  {seconds:>8.1f}  {speed:>7,.0f}  {cpu_speed:>10,.0f}  {memory:>7,.0f}")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
