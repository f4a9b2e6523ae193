"""The control matrix as LibreOffice prints it: every sheet, no empty page, letters that can be read."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.test_workbook import SHEETS

# Points of a letter below which print is not read.
SMALLEST = 4.5


@pytest.fixture(scope="module")
def paper(pack: Path, program: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("paper")
    command = [program("libreoffice"), f"-env:UserInstallation={(place / 'profile').as_uri()}", "--headless"]
    command += ["--convert-to", "pdf", "--outdir", str(place), str(pack / "control-matrix.xlsx")]
    subprocess.run(command, capture_output=True, timeout=180, check=True)
    return place / "control-matrix.pdf"


def pages(paper: Path, program: Callable[[str], str]) -> list[str]:
    command = [program("pdftotext"), "-layout", str(paper), "-"]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout.split("\f")[:-1]


def test_every_sheet_is_printed_and_pages_are_not_empty(paper: Path, program: Callable[[str], str]) -> None:
    found = pages(paper, program)
    footers = [re.search(r"^ *(\S.*?) · run .* +Page (\d+) of (\d+)", page, re.MULTILINE) for page in found]
    assert [n for n, footer in enumerate(footers, start=1) if footer is None] == []
    assert [(n, int(f[2])) for n, f in enumerate(footers, start=1) if f and int(f[2]) != n] == []
    sheets = dict.fromkeys(f[1] for f in footers if f)
    assert list(sheets)[1:] == list(SHEETS)[1:]
    # Half of it are listings one page wide: the data dictionary, exceptions and populations of 340 tests.
    assert len(found) < 300


def test_a_listing_says_what_of_it_is_on_paper(paper: Path, program: Callable[[str], str]) -> None:
    listed = [page for page in pages(paper, program) if re.search(r"^ *Exceptions · run .* +Page ", page, re.MULTILINE)]
    assert "On paper: the columns up to Waiver." in " ".join(listed[0].split())
    assert len(listed) > 20 and all(re.search("Exception id +Test", page) for page in listed)
    assert not any("Compensating control" in page for page in listed)


def test_headings_stand_on_every_page_of_the_control_matrix(paper: Path, program: Callable[[str], str]) -> None:
    matrix = [
        page for page in pages(paper, program) if re.search("^ *Control matrix · run .* +Page ", page, re.MULTILINE)
    ]
    assert len(matrix) > 3
    assert [n for n, page in enumerate(matrix) if not re.search("Control +Title", page)] == []
    text = "\n".join(matrix)
    for heading in ("Control activity", "Primary criteria", "Management's result", "Exceptions"):
        assert heading.split()[0] in matrix[0], heading
    for heading in ("Risk addressed", "Management's result", "Auditor conclusion"):
        assert heading in text


def test_letters_of_the_control_matrix_can_be_read(paper: Path, program: Callable[[str], str], tmp_path: Path) -> None:
    boxes = tmp_path / "boxes.html"
    subprocess.run(
        [program("pdftotext"), "-bbox", "-f", "2", "-l", "2", str(paper), str(boxes)], timeout=60, check=True
    )
    heights = [
        float(bottom) - float(top)
        for top, bottom in re.findall(r'yMin="([\d.]+)"[^>]*yMax="([\d.]+)"', boxes.read_text())
    ]
    assert len(heights) > 100
    assert min(heights) > SMALLEST
