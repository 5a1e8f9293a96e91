"""metrics/data.md: what the data are and what the checks found, for reading; metrics/data.json has the same figures."""

from __future__ import annotations

from collections.abc import Mapping

from stages.core.files import Row
from stages.rows.row_flags import FLAGS


def data_page(summary: Row) -> str:
    """Markdown of metrics/data.json; ``checks`` as `stages.rows.row_policy.Tally` gives them."""
    checks = summary["checks"]
    parts = [
        "# The data of this run",
        "Written by `dvc repro prepare` from the counts of `metrics/data.json`; every dropped row stands in "
        "`data/prepared/dropped.jsonl` with its place and reason.",
        "## Rows",
        _table("file", {name: _splits(count) for name, count in sorted(summary["prepared"].items())}),
        "## Rows of your own",
        *([_sources(summary["sources"])] if summary["sources"] else ["`data.sources` in params.yaml names none."]),
        "## Preference axes of the test pairs",
        _table("axis", summary["axes"]["test"]),
        "Of these, pairs whose answers differ by at most 10 % in words:",
        _table("axis", summary["equal_length_test_pairs"]),
        "## Flags",
        _table("flag", {f"{flag} - {_meaning(flag)}": n for flag, n in sorted(checks["flags"].items())})
        if checks["flags"]
        else "No row was flagged.",
        f"Rows whose personal data were masked: {checks['masked_rows']}.",
        "## Dropped",
        _table("reason", summary["dropped_by_reason"] | checks["dropped"]),
        "## Examples",
        *(_examples(name, rows) for name, rows in sorted(checks["examples"].items())),
    ]
    return "\n\n".join(parts) + "\n"


def _meaning(flag: str) -> str:
    return FLAGS.get(flag, FLAGS.get(flag.split(":")[0], ""))


def _splits(count: object) -> str:
    return ", ".join(f"{split} {n}" for split, n in count.items()) if isinstance(count, dict) else str(count)


def _table(head: str, counts: Mapping[str, object]) -> str:
    rows = [f"| {name} | {count} |" for name, count in counts.items()]
    return "\n".join([f"| {head} | rows |", "|---|---|", *rows])


def _sources(sources: Mapping[str, Row]) -> str:
    """A source a line: what was read, where it went, and why the rest did not."""
    lines = ["| source | read | kept | dropped | left out by the reader | licences |", "|---|---|---|---|---|---|"]
    for name, one in sources.items():
        columns = (_listed(one[key]) for key in ("kept", "dropped", "skipped", "licenses"))
        lines.append(f"| {name} | {one['read']} | {' | '.join(columns)} |")
    lines += [f"\n{name}: {what} ({count})." for name, one in sources.items() for what, count in one["left"].items()]
    return "\n".join(lines)


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in sorted(counts.items())) or "–"


def _examples(name: str, rows: list[Row]) -> str:
    lines = [f"### {name}"]
    for row in rows:
        texts = " / ".join(str(row[key]) for key in ("prompt", "completion", "chosen", "rejected") if key in row)
        lines.append(f'- `{row["place"]}` <span dir="rtl" lang="ar">{texts}</span>')
    return "\n".join(lines)
