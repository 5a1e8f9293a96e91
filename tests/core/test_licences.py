"""Licences as people write them, and under which of them a model may go out."""

from __future__ import annotations

import pytest

from stages.core.licences import Strictness, licence_of_base, read_licence, verdict


@pytest.mark.parametrize(
    ("text", "names", "strictness"),
    [
        ("CC0", ["CC0-1.0"], Strictness.PUBLIC_DOMAIN),
        ("Creative Commons Zero", ["CC0-1.0"], Strictness.PUBLIC_DOMAIN),
        ("apache 2.0", ["Apache-2.0"], Strictness.PERMISSIVE),
        ("The MIT License", ["MIT"], Strictness.PERMISSIVE),
        ("Unicode-3.0 AND Apache-2.0", ["Apache-2.0", "Unicode-3.0"], Strictness.PERMISSIVE),
        ("MIT OR CC-BY-NC-4.0", ["MIT"], Strictness.PERMISSIVE),
        ("cc by 4.0", ["CC-BY-4.0"], Strictness.ATTRIBUTION),
        ("cc_by_3.0", ["CC-BY-3.0"], Strictness.ATTRIBUTION),
        ("CC BY-SA 3.0", ["CC-BY-SA-3.0"], Strictness.SHARE_ALIKE),
        ("gpl-3.0", ["GPL-3.0-only"], Strictness.SHARE_ALIKE),
        ("CC-BY-ND-4.0", ["CC-BY-ND-4.0"], Strictness.NO_DERIVATIVES),
        ("CC-BY-NC-4.0", ["CC-BY-NC-4.0"], Strictness.NON_COMMERCIAL),
        ("Creative Commons Attribution Non Commercial 4.0", ["CC-BY-NC-4.0"], Strictness.NON_COMMERCIAL),
        ("Creative Commons Attribution-NonCommercial-ShareAlike 4.0", ["CC-BY-NC-SA-4.0"], Strictness.NON_COMMERCIAL),
        ("MADAR research only", ["MADAR research only"], Strictness.UNKNOWN),
        ("Apache-2.0 for research", ["Apache-2.0 for research"], Strictness.UNKNOWN),
        ("MIT, non-commercial use", ["MIT", "non-commercial use"], Strictness.UNKNOWN),
        ("permitted by us", ["permitted by us"], Strictness.UNKNOWN),
        ("none", ["none"], Strictness.UNKNOWN),
        ("", ["no licence"], Strictness.UNKNOWN),
    ],
)
def test_a_licence_is_read_as_people_write_it(text: str, names: list[str], strictness: Strictness) -> None:
    found = read_licence(text)
    assert sorted(one.name for one in found) == names
    assert max(one.strictness for one in found) == strictness


@pytest.mark.parametrize(
    ("texts", "identifier", "name"),
    [
        ([], "apache-2.0", "Apache-2.0"),
        (["Apache-2.0", "MIT", "CC0"], "apache-2.0", "Apache-2.0"),
        (["Apache-2.0", "CC-BY-4.0"], "cc-by-4.0", "CC-BY-4.0"),
        (["CC-BY-4.0", "CC-BY-SA-4.0"], "cc-by-sa-4.0", "CC-BY-SA-4.0"),
        (["Apache-2.0", "CC-BY-NC-4.0", "CC-BY-4.0"], "cc-by-nc-4.0", "CC-BY-NC-4.0"),
        (["CC-BY-NC-4.0", "CC-BY-NC-SA-4.0"], "cc-by-nc-sa-4.0", "CC-BY-NC-SA-4.0"),
        # no one licence meets two that each ask for themselves
        (["CC-BY-NC-4.0", "CC-BY-SA-4.0"], "other", "CC-BY-NC-4.0 AND CC-BY-SA-4.0"),
        (["CC-BY-SA-4.0", "GPL-3.0"], "other", "CC-BY-SA-4.0 AND GPL-3.0-only"),
        (["Apache-2.0", "CC-BY-NC-4.0", "MADAR research only"], "other", "CC-BY-NC-4.0 AND MADAR research only"),
        (["none"], "other", "none"),
    ],
)
def test_the_strictest_licence_decides_or_all_are_named(texts: list[str], identifier: str, name: str) -> None:
    found = verdict(texts)
    assert (found.identifier, found.name, found.is_ours) == (identifier, name, identifier == "apache-2.0")


def test_a_base_that_is_not_known_here_is_not_taken_for_ours() -> None:
    assert verdict([licence_of_base("Qwen/Qwen3-0.6B")]).is_ours
    assert verdict([licence_of_base("meta-llama/Llama-3.2-1B")]).identifier == "other"
    assert verdict([licence_of_base("Qwen/Qwen2.5-3B-Instruct")]).identifier == "other"
