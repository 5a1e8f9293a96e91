"""The model hub, asked once: bases and data sets alike want to know whether it answers before they rely on it."""

from __future__ import annotations


def hub_answers() -> bool:
    """One request without retries: huggingface_hub repeats a failed one for minutes before it gives up."""
    import requests
    from huggingface_hub import constants

    try:
        requests.head(constants.ENDPOINT, timeout=10)
    except OSError:  # the base of requests' own exceptions
        return False
    return True
