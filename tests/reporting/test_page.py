"""report.html: one file that loads nothing, nests rightly, runs right to left in Arabic, and finds answers."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from html.parser import HTMLParser
from pathlib import Path

import pytest

from stages import compare, report
from stages.comparison.paired_scores import read_scores
from stages.core.errors import PipelineError
from stages.core.files import read_jsonl
from stages.reporting import page
from stages.reporting.page import csp_hash
from stages.reporting.page.explorer import embedded_json, explorer
from stages.reporting.page.markdown import render
from tests.support.clones import MODELS
from tests.support.made_metrics import World

VOID = {"meta", "link", "img", "input", "br", "hr"}


class Reader(HTMLParser):
    """The elements with their attributes, and whether they close in the order in which they opened."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.parents: list[tuple[str, str]] = []
        self.broken: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self.parents.append((self.open[-1] if self.open else "", tag))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.broken.append(f"</{tag}> at {self.getpos()}")

    def named(self, *tags: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.elements if tag in tags]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A repository, the current folder too, with a report of made-up metrics."""
    folder = tmp_path_factory.mktemp("page")
    World().write(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        compare.main()
        report.main()
        yield folder


@pytest.fixture(scope="module")
def text(root: Path) -> str:
    return (root / "metrics/report/report.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def read(text: str) -> Reader:
    return Reader(text)


def test_every_element_closes_where_it_should(read: Reader) -> None:
    assert read.broken == [] and read.open == []
    assert not [
        pair for pair in read.parents if pair[0] == "p" and pair[1] in ("figure", "div", "table", "p", "section")
    ]


def test_nothing_is_loaded(text: str, read: Reader) -> None:
    """Addresses stand in plain links only; the policy would stop anything else, and allows our own script and style."""
    for tag, attributes in read.elements:
        for name in ("src", "srcset", "poster", "data", "action", "background"):
            assert (attributes.get(name) or "data:").startswith("data:"), (tag, name)
        if tag != "a":
            assert (attributes.get("href") or "data:").startswith("data:"), tag
        assert not [name for name in attributes if name.startswith("on") or name == "style"], (tag, attributes)
    style, script = page.asset("page.css"), page.asset("page.js")
    assert not re.search(r"@import|url\(|https?:", style) and not re.search(r"fetch\(|XMLHttp|import\(|https?:", script)
    policy = next(one["content"] for one in read.named("meta") if one.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None and policy.startswith("default-src 'none'; img-src data:;")
    assert f"<style>{style}</style>" in text and f"style-src '{csp_hash(style)}'" in policy
    assert f"<script>{script}</script>" in text and f"script-src '{csp_hash(script)}'" in policy


def test_ids_are_unique_and_links_lead_somewhere(read: Reader) -> None:
    ids = Counter(attributes["id"] for _, attributes in read.elements if "id" in attributes)
    assert [name for name, count in ids.items() if count > 1] == []
    for link in read.named("a"):
        target = link["href"] or ""
        assert not target.startswith("#") or target[1:] in ids, target
    for _, attributes in read.elements:
        assert attributes.get("aria-labelledby", next(iter(ids))) in ids


def test_a_reader_without_eyes_finds_the_way(read: Reader) -> None:
    for landmark in ("header", "nav", "main", "footer"):
        assert len(read.named(landmark)) == 1
    assert read.named("html")[0] == {"lang": "en", "dir": "ltr"}
    assert len(read.named("h1")) == 1
    pictures = read.named("img")
    assert len(pictures) == len(list(Path("metrics/report/plots").iterdir()))
    assert all(len(one["alt"] or "") > 40 for one in pictures)
    regions = [one for one in read.named("div") if one.get("class") == "scroll"]
    assert all(one["tabindex"] == "0" and one["role"] == "region" and one["aria-label"] for one in regions)
    assert len(regions) > 20
    assert all(one.get("scope") in ("col", "row") for one in read.named("th") if one.get("class") == "number")


def luminance(colour: str) -> float:
    """Of `#rrggbb`, as WCAG 2.2 defines it."""
    shares = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_text_stands_out_in_light_and_dark() -> None:
    """WCAG AA asks for 4.5 to 1; the toggle's dark theme is the system's."""
    style = page.asset("page.css").split("@media print")[0]
    themes = [
        dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", block)) for block in re.findall(r":root[^{]*\{([^}]*)\}", style)
    ]
    light, dark, toggled = themes
    assert dark == toggled
    for theme in (light, dark):
        for ink in ("ink", "soft", "link", "right", "wrong"):
            for ground in ("paper", "band"):
                low, high = sorted((luminance(theme[ink]), luminance(theme[ground])))
                assert (high + 0.05) / (low + 0.05) >= 4.5, (ink, ground)


def test_arabic_is_marked_right_to_left(root: Path, read: Reader) -> None:
    marked = [one for _, one in read.elements if one.get("lang") == "ar"]
    assert len(marked) >= 2 * (len(MODELS) + 2)
    assert all(one.get("dir") == "rtl" for one in marked)
    sample = "# T\n\nThe words «نعم (لا)» and 12 and كتاب stand here.\n"
    body = render(sample, root).sections[0][2]
    assert '«<bdi dir="rtl" lang="ar">نعم (لا)</bdi>»' in body
    assert '<bdi dir="rtl" lang="ar">كتاب</bdi>' in body and "12" not in "".join(re.findall(r"<bdi.*?</bdi>", body))


def test_all_models_answer_every_prompt(text: str) -> None:
    data = json.loads(re.findall(r'<script type="application/json" id="answers">(.*?)</script>', text, re.S)[0])
    assert data["models"] == list(MODELS) and len(data["prompts"]) == data["total"] == 90 and data["left_out"] == 0
    first = data["prompts"][0]
    assert first["turns"] == [["user", "ما رقم <0> & كم؟"]] and first["wording"] == "unseen"
    assert [one["text"] for one in first["answers"]] == [f"جواب {model} <b>\n\nسطر ثان" for model in MODELS]
    assert {one["right"] for one in first["answers"]} <= {0, 1}
    assert {one["right"] for one in data["prompts"][2]["answers"]} == {None}


def test_no_answer_can_leave_its_script_element() -> None:
    nasty = {"text": "</script><!-- <script> & \u2028"}
    assert "<" not in embedded_json(nasty) and json.loads(embedded_json(nasty)) == nasty


def test_what_has_no_room_is_counted_and_cut_off_fairly(root: Path) -> None:
    scores, prompts = read_scores(MODELS), read_jsonl(Path("data/prepared/generation.jsonl"))
    whole, cut = explorer(scores, prompts), explorer(scores, prompts, limit=20_000)
    assert 0 < cut.left_out < cut.total == len(whole.payload["prompts"])
    assert len(embedded_json(cut.payload)) < 25_000
    tasks = Counter(entry["task"] for entry in cut.payload["prompts"])
    assert len(tasks) == 3 and max(tasks.values()) - min(tasks.values()) <= 1


def test_a_page_that_is_too_large_is_refused(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "LIMIT_BYTES", 1_000)
    found = explorer(read_scores(MODELS), read_jsonl(Path("data/prepared/generation.jsonl")))
    with pytest.raises(PipelineError, match=r"report\.html would have [\d,]+ bytes"):
        page.build("# T\n", root, found)


def test_a_picture_that_was_not_drawn_is_named(root: Path) -> None:
    with pytest.raises(PipelineError, match=r"gone\.png was not drawn"):
        render("# T\n\n![x](plots/gone.png)\n", root)


def test_the_page_says_what_the_text_says(root: Path, text: str) -> None:
    """Heading by heading, and the first cell of every table row."""
    markdown = (root / "metrics/report/report.md").read_text(encoding="utf-8")
    plain = re.sub(r"<[^>]*>", "", text)
    for heading in re.findall(r"^#+ (.*)$", markdown, re.M):
        assert heading.replace("`", "") in plain
    assert text.count("<tr>") == len(re.findall(r"^\| (?!---)|<tr>", markdown, re.M))


def test_the_page_is_the_same_on_every_run(root: Path, text: str) -> None:
    report.main()
    assert (root / "metrics/report/report.html").read_text(encoding="utf-8") == text


# What a browser asks for by itself, whatever it shows, in spite of the options against it.
ERRANDS = {"clients2.google.com", "update.googleapis.com", "accounts.google.com"}


def browse(address: str, profile: Path) -> tuple[str, set[str]]:
    """The page as chromium made it, and the hosts that it asked for: every request goes to a proxy that only notes."""
    hosts: set[str] = set()

    def note(proxy: socket.socket) -> None:
        with suppress(OSError):
            while True:
                caller, _ = proxy.accept()
                with caller, suppress(OSError):
                    caller.settimeout(5)
                    target = caller.recv(4096).decode("latin-1").split(" ")[1]
                    hosts.add(re.split(r"[:/]", target.removeprefix("http://"))[0])

    with socket.create_server(("127.0.0.1", 0)) as proxy:
        threading.Thread(target=note, args=(proxy,), daemon=True).start()
        command = [
            *("chromium", "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}", "--dump-dom"),
            *(
                f"--proxy-server=127.0.0.1:{proxy.getsockname()[1]}",
                "--proxy-bypass-list=<-loopback>",
                "--disable-quic",
            ),
            *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run"),
        ]
        dom = subprocess.run([*command, address], capture_output=True, text=True, check=True, timeout=120).stdout
    return dom, hosts - ERRANDS


needs_a_browser = pytest.mark.skipif(shutil.which("chromium") is None, reason="needs a browser")


@needs_a_browser
@pytest.mark.parametrize(
    ("fragment", "matching"),
    [
        ("", 90),
        ("#answers?task=countries", 30),
        ("#answers?wording=unseen", 18),
        ("#answers?q=%D8%B1%D9%82%D9%85+%3C7%3E", 1),
    ],
)
def test_filters_work_in_a_browser_and_no_request_leaves_the_page(
    root: Path, tmp_path: Path, fragment: str, matching: int
) -> None:
    dom, asked = browse((root / "metrics/report/report.html").as_uri() + fragment, tmp_path)
    assert f"{matching} of 90 prompts match" in dom
    assert dom.count('<article class="prompt"') == min(matching, 10)
    assert asked == set()


@needs_a_browser
def test_the_pages_policy_stops_a_picture_from_elsewhere_that_another_page_would_load(
    text: str, tmp_path: Path
) -> None:
    picture = '<img src="http://elsewhere.invalid/x.png">'
    for name, content in (("ours", text.replace("<main", f"{picture}<main")), ("other", f"<html>{picture}</html>")):
        (tmp_path / f"{name}.html").write_text(content, encoding="utf-8")
    assert browse((tmp_path / "ours.html").as_uri(), tmp_path / "one")[1] == set()
    assert browse((tmp_path / "other.html").as_uri(), tmp_path / "two")[1] == {"elsewhere.invalid"}
