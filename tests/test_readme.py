"""What the README shows is what happens."""

import doctest
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_session_of_the_readme() -> None:
    options = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS | doctest.FAIL_FAST
    failed, tried = doctest.testfile(str(ROOT / "README.md"), module_relative=False, optionflags=options)
    assert (failed, tried) == (0, 12)


def test_the_map_names_what_is_there() -> None:
    lines = (ROOT / "README.md").read_text().splitlines()
    named = [
        line.split()[0]
        for line in lines
        if line.startswith(("    auditkit/", "    notebooks/", "    data/", "    templates/", "    tests/"))
    ]
    assert len(named) == 20
    assert [path for path in named if not (ROOT / path).exists()] == []
