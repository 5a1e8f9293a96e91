"""The seed report, audited: its figures against the limits of its own hardware, and its claims against ours."""
