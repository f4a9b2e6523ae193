"""A mistake in a declaration is one clear error that names it."""

from collections.abc import Iterator
from typing import Annotated, Any

import pandas as pd
import pytest
from builders import snapshot

from auditkit import declare
from auditkit.errors import AuditkitError
from auditkit.evaluate import Tables, run


@pytest.fixture
def registries() -> Iterator[None]:
    """What the test declares is gone after it."""
    before = [(registry, dict(registry)) for registry in (declare._tables, declare._checks)]
    yield
    for registry, kept in before:
        registry.clear()
        registry.update(kept)


def flagged(population: pd.DataFrame) -> pd.Series:
    return pd.Series(True, population.index)


@pytest.mark.usefixtures("registries")
def test_a_misspelt_population_names_check_and_table() -> None:
    @declare.check("XX-01", severity="low")
    def test(containrs: pd.DataFrame) -> pd.Series:
        return flagged(containrs)

    with pytest.raises(AuditkitError, match=r"^check XX-01: no table 'containrs' to read; did you mean containers[,?]"):
        run(Tables(snapshot([])), ["XX-01"])
    with pytest.raises(AuditkitError, match=r"^no table 'podz' to read; did you mean pods[,?]"):
        declare.kinds_of("podz")


@pytest.mark.usefixtures("registries")
def test_a_misspelt_table_beside_the_population_is_named_too() -> None:
    @declare.check("XX-02", severity="low")
    def test(containers: pd.DataFrame, zzz: pd.DataFrame) -> pd.Series:
        return flagged(containers)

    with pytest.raises(AuditkitError, match=r"^check XX-02: no table 'zzz' to read; `auditkit tables` lists them$"):
        run(Tables(snapshot([])), ["XX-02"])


@pytest.mark.usefixtures("registries")
def test_a_view_that_reads_what_is_no_table_is_named() -> None:
    @declare.view("broken", key=("name",))
    class Broken:
        """Rows."""

        name: Annotated[str, "Name."]

        @staticmethod
        def frame(namespacs: pd.DataFrame) -> pd.DataFrame:
            return namespacs

    @declare.check("XX-03", severity="low")
    def test(broken: pd.DataFrame) -> pd.Series:
        return flagged(broken)

    with pytest.raises(AuditkitError, match=r"^view broken: no table 'namespacs' to read; did you mean namespaces[,?]"):
        run(Tables(snapshot([])), ["XX-03"])


@pytest.mark.parametrize(("hint", "named"), [(bytes, "bytes"), (dict[str, int] | None, "dict"), (Any, "Any")])
@pytest.mark.usefixtures("registries")
def test_a_type_that_no_column_holds_is_named(hint: Any, named: str) -> None:
    class Wrong:
        """Rows."""

        @staticmethod
        def rows(objects: Any) -> Iterator[tuple[Any, ...]]:
            yield from ()

    Wrong.__annotations__ = {"raw": Annotated[hint, "What it is."]}
    said = rf"^column raw of .*Wrong: a column cannot hold {named}, only str, bool, int, float, datetime, list$"
    with pytest.raises(AuditkitError, match=said):
        declare.table("wrong", key=("raw",))(Wrong)
    assert "wrong" not in declare.TABLES
