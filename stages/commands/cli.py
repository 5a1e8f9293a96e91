"""The command line: `arabic-qwen <command>`, or `python -m stages.commands <command>` without an installation.

A command is imported when it is called, so that `--help` prints at once and `begin` runs before any large library.
Exit codes: 1 for what the user can fix, told in one sentence; 2 for a command line that cannot be read; 130 for Ctrl-C.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from stages.core import paths
from stages.core.errors import PipelineError, refuse_other_tree, told
from stages.core.process import begin, imports_are_done

app = typer.Typer(
    help="What a person runs beside `dvc`, in the repository's root. The stages themselves are run by `dvc repro`.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
experiments = typer.Typer(
    help="Run DVC's experiments and compare them. DVC's traps are refused, and figures have their 95 % intervals.",
    no_args_is_help=True,
)
app.add_typer(experiments, name="experiments")

Jobs = Annotated[int, typer.Option("--jobs", "-j", min=1, help="Experiments at a time.")]
Sort = Annotated[str, typer.Option(help="The column in which the best comes first: clean, knows or exact.")]
All = Annotated[bool, typer.Option("--all", help="Show the experiments of every commit, not of the newest alone.")]


def main() -> None:
    """The console script."""
    begin()
    app()


@contextmanager
def in_repository() -> Iterator[None]:
    """Errors in one sentence; raises PipelineError outside a repository, or in another one than the code's."""
    with told("run the command again", "run the command again, it keeps what is finished"):
        if not paths.PARAMS.is_file():
            raise PipelineError(f"{paths.PARAMS} is missing: run from the repository's root, or restore it with git")
        refuse_other_tree()
        yield


@experiments.command()
def methods(jobs: Jobs = 1, sort: Sort = "exact", all_commits: All = False) -> None:
    """Compare the methods, one experiment each. Controls are included; the table follows."""
    with in_repository():
        from stages.commands.experiment_table import print_tables, shown
        from stages.commands.experiments import compare_methods

        imports_are_done()
        check_column(sort, shown())
        compare_methods(jobs)
        print_tables(sort, all_commits)


@experiments.command()
def sweep(
    overrides: Annotated[
        list[str], typer.Option("-S", metavar="KEY=VALUE,...", help="As in `dvc exp run -S`; once for each key.")
    ],
    name: Annotated[str, typer.Option("--name", "-n", help="The experiments are NAME-1, NAME-2 and so on.")] = "sweep",
    jobs: Jobs = 1,
    sort: Sort = "exact",
    all_commits: All = False,
) -> None:
    """Try settings, one experiment a combination. The table follows.

    \b
    arabic-qwen experiments sweep -n beta -S train.dpo.beta=0.05,0.3
    arabic-qwen experiments sweep -n base -S profile=smoke,embedded
    """
    with in_repository():
        from stages.commands import experiments as command
        from stages.commands.experiment_table import print_tables, shown

        imports_are_done()
        check_column(sort, shown())
        command.sweep(name, overrides, jobs)
        print_tables(sort, all_commits)


@experiments.command()
def table(sort: Sort = "exact", all_commits: All = False) -> None:
    """Print what was run, with intervals. Experiments of the newest commit, or of all."""
    with in_repository():
        from stages.commands.experiment_table import print_tables, shown

        imports_are_done()
        check_column(sort, shown())
        print_tables(sort, all_commits)


def check_column(sort: str, columns: dict[str, str]) -> None:
    if sort not in columns:
        raise typer.BadParameter(f"{sort!r} is not one of {', '.join(columns)}", param_hint="--sort")


@app.command("sweep")
def sweep_settings() -> None:
    """Try learning rates and betas of all methods.

    Trains each method at every point of `sweep` in params.yaml, scores it on validation prompts, and writes
    metrics/sweep.json. Killed, it goes on at the point it was at.
    """
    with in_repository():
        from stages.commands.sweep import main

        imports_are_done()
        main()


@app.command()
def publish(
    model: Annotated[str, typer.Argument(help="An adapter of params.yaml: models.")],
    folder: Annotated[Path, typer.Argument(help="The folder to make; missing so far, or empty.")],
) -> None:
    """Write an adapter as a folder for the hub. Nothing is uploaded."""
    with in_repository():
        from stages.commands.publish import main

        imports_are_done()
        main(model, folder)


@app.command()
def card() -> None:
    """Count the rows for the data card. Rewrites data/README.md and data/SAMPLES.md, after `dvc repro prepare`."""
    with in_repository():
        from stages.commands.data_card import main

        imports_are_done()
        main()
