"""`python -m stages.commands`: the command line of the current folder's code, whichever is installed."""

from __future__ import annotations

from stages.commands.cli import main

if __name__ == "__main__":
    main()
