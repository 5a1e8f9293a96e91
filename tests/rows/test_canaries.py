"""One test per behaviour of the hub's libraries that reading sources relies on and no documentation promises."""

from __future__ import annotations

import pytest
from huggingface_hub import HfApi
from huggingface_hub.errors import OfflineModeIsEnabled

from stages.rows.reading import hub_rows
from tests.support.canaries import canary

NOBODY = "http://127.0.0.1:9"  # refuses every connection


def refused_unasked() -> bool:
    """Whether the library refuses a request itself, rather than find that nobody answers."""
    try:
        HfApi(endpoint=NOBODY).dataset_info("owner/rows")
    except OfflineModeIsEnabled:
        return True
    except Exception:
        return False
    raise AssertionError


@pytest.mark.parametrize("online", [True, False])
def test_the_hubs_library_goes_online_and_offline_while_it_runs(online: bool) -> None:
    before = refused_unasked()
    with canary("huggingface_hub reads constants.HF_HUB_OFFLINE at every request", hub_rows._network):
        with hub_rows._network(online):
            assert refused_unasked() == (not online)
        assert refused_unasked() == before
