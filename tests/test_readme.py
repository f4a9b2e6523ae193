"""What the README shows is what happens."""

import doctest
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_session_of_the_readme() -> None:
    options = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS | doctest.FAIL_FAST
    failed, tried = doctest.testfile(str(ROOT / "README.md"), module_relative=False, optionflags=options)
    assert (failed, tried) == (0, 12)


def test_the_map_names_what_is_there() -> None:
    there = (ROOT / "README.md").read_text().partition("## Map of the repository\n")[2].partition("\n**")[0]
    named = [line.split()[0] for line in there.splitlines() if line]
    assert [path for path in named if not (ROOT / path).exists()] == []
    modules = {
        path.name for path in (ROOT / "auditkit").iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    assert {name for name in modules if name not in there} == {"__init__.py", "__main__.py"}
