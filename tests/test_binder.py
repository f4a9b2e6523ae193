"""Every page of the binder as a browser shows it: whole, alone, within its width, with its pictures described."""

import json
import re
import subprocess
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pandas as pd
import pytest

from auditkit.report.page import table
from auditkit.report.workpaper import notebooks

PAGES = ("index.html", *(n.page for n in notebooks().values()))
SECTIONS = (
    *("Objective", "Criteria and controls", "Source and completeness", "Procedure", "Population", "Results"),
    *("Exceptions", "Conclusion", "Standing caveats"),
)
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--window-size=1200,900", "--virtual-time-budget=5000"),
)
POLICY = re.compile(r'<meta[^>]*http-equiv="Content-Security-Policy"[^>]*>')
# What the page says of itself once it is laid out; written where --dump-dom shows it.
PROBE = """<script>addEventListener("load", () => {
  const wide = [...document.querySelectorAll("main *")].filter(e => e.getBoundingClientRect().right > innerWidth + 1);
  const images = [...document.images];
  document.body.dataset.seen = JSON.stringify({
    headings: [...document.querySelectorAll("h2")].map(h => h.firstChild.textContent.trim()),
    width: document.documentElement.scrollWidth, window: innerWidth,
    wide: wide.slice(0, 3).map(e => e.outerHTML.slice(0, 200)),
    images: images.map(i => [i.alt, i.naturalWidth]),
    codes: [...document.querySelectorAll("details.code")].map(d => d.open),
    loaded: performance.getEntriesByType("resource").map(r => r.name.slice(0, 40)),
    text: document.body.innerText.length,
  })
})</script>"""


class Addresses(HTMLParser):
    """Every address that a page loads or leads to, and its anchors."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loads: list[str] = re.findall(r"url\(([^)]*)\)|@import", text)
        self.links: list[str] = []
        self.anchors: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("src", "srcset", "data", "poster", "action", "background") or (
                tag == "link" and name == "href"
            ):
                self.loads.append(value or "")
            elif name == "href":
                self.links.append(value or "")
            elif name == "id":
                self.anchors.append(value or "")


@pytest.fixture(scope="module")
def seen(pack: Path, program: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the browser measured of each page; the pages' policy forbids scripts, so copies without it are opened."""
    chromium, probed = program("chromium"), tmp_path_factory.mktemp("probed")

    def open_(page: str) -> Any:
        text = (pack / page).read_text()
        copy = probed / Path(page).name
        assert len(POLICY.findall(text)) == 1
        copy.write_text(POLICY.sub(PROBE, text))
        with tempfile.TemporaryDirectory() as profile:
            command = [chromium, *FLAGS, f"--user-data-dir={profile}", "--dump-dom", copy.as_uri()]
            dom = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
        found = re.search(r'data-seen="([^"]*)"', dom)
        assert found, f"{page} was not laid out"
        return json.loads(
            found[1].replace("&quot;", '"').replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
        )

    with ThreadPoolExecutor(2) as pool:
        return dict(zip(PAGES, pool.map(open_, PAGES), strict=True))


@pytest.mark.parametrize("page", PAGES)
def test_a_page_fits_its_window_and_loads_nothing(page: str, seen: dict[str, Any]) -> None:
    shown = seen[page]
    assert shown["width"] <= shown["window"], shown["wide"]
    assert [name for name in shown["loaded"] if not name.startswith("data:")] == []
    assert shown["text"] > 500


@pytest.mark.parametrize("page", PAGES[1:])
def test_a_workpaper_has_its_sections_in_order_and_folds_its_code(page: str, seen: dict[str, Any]) -> None:
    shown = seen[page]
    assert [h for h in shown["headings"] if h in SECTIONS] == [s for s in SECTIONS if s in shown["headings"]]
    assert {*SECTIONS} - {*shown["headings"]} <= (
        {"Population", "Exceptions"} if page.endswith(("conclusion.html", "cis.html")) else set()
    )
    assert len(shown["codes"]) > 5
    assert not any(shown["codes"])


@pytest.mark.parametrize("page", PAGES[1:])
def test_a_workpaper_has_a_picture_that_says_what_it_shows(page: str, seen: dict[str, Any]) -> None:
    assert seen[page]["images"]
    for alt, width in seen[page]["images"]:
        assert len(alt.split()) > 6
        assert width > 300


@pytest.mark.parametrize("page", PAGES)
def test_a_page_names_no_address_outside_the_pack(page: str, pack: Path) -> None:
    text = (pack / page).read_text()
    found = Addresses(text)
    assert [a for a in found.loads if not a.startswith("data:")] == []
    assert "<script" not in text
    for link in found.links:
        parts = urlsplit(link)
        assert not parts.scheme, f"{page} leads to {link}"
        target = (pack / page).parent / unquote(parts.path) if parts.path else pack / page
        assert target.exists(), f"{page} leads to {link}"
        if parts.fragment and target.suffix == ".html":
            assert parts.fragment in Addresses(target.read_text()).anchors, f"{page} leads to {link}"


@pytest.mark.parametrize("page", PAGES)
def test_headings_skip_no_level_and_anchors_are_single(page: str, pack: Path) -> None:
    text = (pack / page).read_text()
    levels = [int(level) for level in re.findall("<h([1-6])[ >]", text)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    found = Addresses(text).anchors
    assert len(found) == len(set(found))


def test_long_words_break_after_separators_and_days_stay_whole() -> None:
    account = "system:serviceaccount:argocd:argocd-application-controller"
    frame = pd.DataFrame({"who": [account], "when": ["between 2026-07-01 06:00 and 2026-08-15 06:00"]})
    text = table(frame)
    assert "system:<wbr>serviceaccount:<wbr>argocd:<wbr>argocd-application-controller" in text
    assert "between <span class='whole'>2026-07-01 06:00</span> and <span class='whole'>2026-08-15 06:00</span>" in text
    assert "class='long'" in table(pd.DataFrame({"sha256": ["0a" * 32]}))
    assert "<b>" not in table(pd.DataFrame({"name": ["<b>:" + "x" * 30]}))


def test_a_page_is_readable_on_paper(pack: Path, program: Callable[[str], str], tmp_path: Path) -> None:
    page, paper = pack / notebooks()["certificates"].page, tmp_path / "paper.pdf"
    command = [program("chromium"), *FLAGS, f"--user-data-dir={tmp_path}/profile", "--no-pdf-header-footer"]
    subprocess.run([*command, f"--print-to-pdf={paper}", page.as_uri()], capture_output=True, timeout=120, check=True)
    text = subprocess.run(
        [program("pdftotext"), "-layout", paper, "-"], capture_output=True, text=True, timeout=60, check=True
    ).stdout
    assert '@check("CERT-01"' in text, "paper has no pointer: procedures are unfolded"
    assert "import auditkit" not in text
    assert "Standing caveats" in text
    assert text.count("\f") < 40
