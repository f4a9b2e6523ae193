"""The engagement: auditkit.toml, read and validated with all its faults at once."""

import tomllib
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from fnmatch import fnmatchcase
from functools import cache
from glob import glob
from pathlib import Path
from typing import Any, Literal

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationError, field_validator, model_validator

import auditkit.checks  # noqa: F401  (importing declares)
from auditkit.analysis import cron
from auditkit.capture.imports import READERS, Supplied
from auditkit.capture.imports.base import MAX_AGE_DAYS
from auditkit.declare import CHECKS
from auditkit.errors import Faults, UsageError, faults_of, instead
from auditkit.resources import data, folder

NAME = "auditkit.toml"
# The folder beside it in a pack, with the data files of the auditkit that made it.
SHIPPED = "shipped"


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Period(_Section):
    """First and last day (UTC) of the period; a type I report has one day, its as-of date.

    `schedule` says when a snapshot is expected: "daily" and "weekly" at any time of each day or week of the period,
    else the five fields of cron in UTC, late after `late_tolerance_hours`. Without `gap_tolerance_days` no missed
    slot is tolerated; with it the time between two captures may be as long.
    """

    start: date
    end: date
    schedule: str = ""
    late_tolerance_hours: float = Field(default=1.0, ge=0)
    gap_tolerance_days: float | None = Field(default=None, gt=0)

    @property
    def first(self) -> datetime:
        """The first moment of the period."""
        return datetime.combine(self.start, time(), UTC)

    @property
    def over(self) -> datetime:
        """The moment at which the period has ended: midnight after its last day."""
        return datetime.combine(self.end, time(), UTC) + timedelta(days=1)

    @field_validator("schedule")
    @classmethod
    def _known(cls, schedule: str) -> str:
        some = datetime(2026, 1, 1, tzinfo=UTC)
        if schedule not in ("", "daily", "weekly") and cron.between(schedule, some, some) is None:
            raise ValueError(f"{schedule!r} is neither daily, weekly nor five fields of cron, e.g. 0 6 * * *")
        return schedule

    @model_validator(mode="after")
    def _ordered(self) -> "Period":
        if self.start > self.end:
            raise ValueError(f"start {self.start} is after end {self.end}")
        return self


class Scope(_Section):
    """Which clusters and namespaces the report covers, as shell patterns; an exclusion wins. No clusters: not stated."""

    clusters: list[str] = []
    namespaces: list[str] = ["*"]
    exclude_namespaces: list[str] = []

    def without(self, names: Iterable[str]) -> list[str]:
        """What `clusters` states and none of these clusters fits."""
        there = list(names)
        return [stated for stated in self.clusters if not any(matches(name, [stated]) for name in there)]


@cache
def managers() -> Mapping[str, tuple[str, ...]]:
    """Names of field managers by role, from data/managers.toml: `controllers`, `deployers`, `gitops`; shell patterns."""
    return {role: tuple(names) for role, names in data("managers.toml").items()}


class Changes(_Section):
    """What explains a change: an approved ticket of the last `ticket_days` days, or one of the agreed `deployers`.

    `deployers` are shell patterns of the names that tools give themselves in managedFields.
    """

    deployers: list[str] = Field(default_factory=lambda: list(managers()["deployers"]))
    ticket_days: int = Field(default=14, ge=0)


class Review(_Section):
    """What was agreed of access reviews: days after the quarter in which a decision still counts, business days within
    which a change is made, and the people who may grant access (as the identity provider names them).
    """

    days_after: int = Field(default=0, ge=0)
    revoke_days: int = Field(default=5, ge=0)
    provisioners: list[str] = []


class Labels(_Section):
    """Names of the labels by which the entity marks its objects."""

    owner: str = ""
    classification: str = ""
    environment: str = ""


class Retention(_Section):
    """How long evidence is kept: a class by the entity's own schedule, days since it was taken, and a legal hold."""

    name: str = Field(default="", alias="class")
    keep_days: int | None = Field(default=None, ge=1)
    legal_hold: bool = False


class Named(_Section):
    """The files of one import beside auditkit.toml (shell patterns), and what the user states of them.

    `made_at` is asked for where the document has no date of its own; `by` says who or what made it; `cluster` is what
    it calls this cluster, where that is another name, or of several in a store the one that it is of. `columns` gives the headers of a CSV that has others than ours,
    `prefix` what the API server puts before names of the identity provider, where its flags do not show it.
    """

    files: list[str]
    made_at: date | datetime | None = None
    by: str = ""
    cluster: str = ""
    max_age_days: int = Field(MAX_AGE_DAYS, ge=1)
    columns: dict[str, str] = Field(default_factory=dict)
    prefix: str | None = None

    @property
    def options(self) -> dict[str, Any]:
        """Those of the options of readers that are set."""
        return self.model_dump(include={"columns", "prefix"}, exclude_unset=True)

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        """`tickets = "tickets.csv"` is short for its file alone."""
        if isinstance(value, dict):
            files = value.get("files", [])
            return {**value, "files": [files] if isinstance(files, str) else files}
        return {"files": [value] if isinstance(value, str) else value}


class Engagement(_Section):
    """Entity, system, period and scope of the examination, and the settings of checks."""

    entity: str = "not stated"
    system: str = "not stated"
    type: Literal["I", "II"] | None = None
    cluster: str = ""
    preparer: str = ""
    # Ours by name; the entity's own by the name of a .toml file beside auditkit.toml.
    frameworks: list[str] = ["soc2-2017", "cis-1.12"]
    # A .toml file beside auditkit.toml that changes our controls and adds to them.
    controls: str = ""
    registries: list[str] = []
    period: Period | None = None
    scope: Scope = Scope()
    labels: Labels = Labels()
    changes: Changes = Field(default_factory=Changes)
    review: Review = Review()
    retention: Retention = Retention()
    imports: dict[str, Named] = Field(default_factory=dict)
    checks: dict[str, dict[str, Any]] = Field(default_factory=dict)

    _text: str = PrivateAttr("")
    _place: Path = PrivateAttr(Path())

    @property
    def text(self) -> str:
        """The file as written; empty where there is none."""
        return self._text

    @property
    def report(self) -> str:
        """Which report the evidence is for: "SOC 2 type II", or "not stated"."""
        return f"SOC 2 type {self.type}" if self.type else "not stated"

    @property
    def settings(self) -> Mapping[str, Mapping[str, Any]]:
        """Settings by check id: those of `[checks.ID]`, and `registries` for every check that has such a setting."""
        shared = {"registries": tuple(self.registries)} if self.registries else {}
        found = {}
        for id, check in CHECKS.items():
            own = {key: _like(check.settings[key], value) for key, value in self.checks.get(id, {}).items()}
            given = {key: _like(check.settings[key], value) for key, value in shared.items() if key in check.settings}
            if given or own:
                found[id] = {**given, **own}
        return found

    @property
    def controls_path(self) -> Path | None:
        """The entity's own controls, or None."""
        return self._path(self.controls) if self.controls else None

    def framework(self, name: str) -> str | Path:
        """What `frameworks.load` takes for one of `frameworks`: the path of an own file, else the name of ours."""
        return self._path(name) if _own(name) else name

    def version(self, name: str) -> str | None:
        """The version of a framework of ours that is chosen: cis-2.0.1 for cis-1.12; None where it is not chosen at all."""
        return next((one for one in self.frameworks if shipped().get(one) == shipped()[name]), None)

    def inputs(self) -> tuple[Path, ...]:
        """The files that auditkit.toml names, all of them existing."""
        return tuple(self._path(name) for name in self._named())

    def supplied(self) -> tuple[Supplied, ...]:
        """The imports that auditkit.toml names; UsageError where a pattern matches no file."""
        found = []
        for source, named in sorted(self.imports.items()):
            # Path.glob raises for a whole path, and for other patterns that match nothing here.
            matched = (glob(name, root_dir=self._place, recursive=True) for name in named.files)  # noqa: PTH207
            names = (sorted(some) or [name] for some, name in zip(matched, named.files, strict=True))
            every = tuple(dict.fromkeys(self._place / name for some in names for name in some))
            missing = [str(path) for path in every if not path.is_file()]
            if missing or not every:
                raise UsageError(f"imports.{source}: {', '.join(missing) or 'no file'} does not exist beside {NAME}")
            stated = named.model_dump(exclude={"files", "columns", "prefix"})
            found.append(Supplied(source=source, paths=every, period=self._span, options=named.options, **stated))
        return tuple(found)

    @property
    def _span(self) -> tuple[date, date] | None:
        return (self.period.start, self.period.end) if self.period else None

    def _named(self) -> list[str]:
        return [name for name in (self.controls, *filter(_own, self.frameworks)) if name]

    def _path(self, name: str) -> Path:
        """Beside auditkit.toml as written; within a pack the file lies flat beside it."""
        written = self._place / name
        return written if written.is_file() else self._place / Path(name).name


def load(path: Path | None) -> Engagement:
    """Read auditkit.toml; None gives the defaults. Raises Faults with all that is wrong, UsageError if unreadable."""
    if path is None:
        return Engagement()
    document = parse(path)
    try:
        engagement, faults = Engagement.model_validate(document), []
    except ValidationError as error:
        engagement, faults = None, faults_of(error, Engagement)
    faults += _unknown_settings(document.get("checks"))
    faults += [
        f"imports.{name}: no such import; {instead(name, sorted(READERS))}"
        for name in document.get("imports", {})
        if name not in READERS
    ]
    if engagement:
        engagement._text, engagement._place = path.read_text(encoding="utf-8"), path.parent
        faults += [*_files(engagement), *_unknown_options(engagement.imports)]
    if faults or engagement is None:
        raise Faults(str(path), faults)
    return engagement


def parse(path: Path) -> dict[str, Any]:
    """A TOML file as a dict; Faults names line and column of what is not TOML."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read: {error}") from None
    except tomllib.TOMLDecodeError as error:
        raise Faults(str(path), [str(error)]) from None


def in_scope(engagement: Engagement, namespaces: pd.Series) -> pd.Series:
    """Whether each namespace is in scope (dtype "boolean"); cluster-scoped objects ("") are, unknown stays unknown."""
    scope = engagement.scope
    text = namespaces.astype("string")
    known = {
        name: name == "" or (matches(name, scope.namespaces) and not matches(name, scope.exclude_namespaces))
        for name in text.dropna().unique()
    }
    return text.map(known).astype("boolean")


def matches(name: str, patterns: Iterable[str]) -> bool:
    """Whether a name fits one of these shell patterns, upper and lower case apart."""
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _unknown_settings(checks: Any) -> list[str]:
    faults = []
    for id, settings in checks.items() if isinstance(checks, dict) else ():
        if id not in CHECKS:
            faults.append(f"checks.{id}: no such check; {instead(id, CHECKS, '`auditkit checks`')}")
            continue
        known = CHECKS[id].settings
        for key, value in settings.items() if isinstance(settings, dict) else ():
            if key not in known:
                faults.append(f"checks.{id}.{key}: unknown setting; {instead(key, known)}")
            elif not _fits(known[key], value):
                faults.append(f"checks.{id}.{key}: {value!r} does not fit; the default is {known[key]!r}")
    return faults


def _unknown_options(imports: Mapping[str, Named]) -> list[str]:
    return [
        f"imports.{source}.{option}: this import has no such option"
        for source, named in imports.items()
        for option in named.options
        if source in READERS and option not in READERS[source].options
    ]


def _fits(default: Any, value: Any) -> bool:
    """Whether a value of TOML is of the default's type; a list stands for a tuple or set of strings."""
    if isinstance(default, (tuple, list, frozenset, set)):
        return isinstance(value, list) and all(isinstance(item, str) for item in value)
    if isinstance(default, bool) or isinstance(value, bool):
        return isinstance(default, bool) and isinstance(value, bool)
    if isinstance(default, float):
        return isinstance(value, (int, float))
    return default is None or isinstance(value, type(default))


def _like(default: Any, value: Any) -> Any:
    return type(default)(value) if isinstance(default, (tuple, frozenset, set, float)) else value


def _files(engagement: Engagement) -> list[str]:
    named = engagement._named()
    faults = [f"{name} does not exist beside {NAME}" for name in named if not engagement._path(name).is_file()]
    flat = [Path(name).name for name in named]
    faults += [
        f"two files are named {n}; a pack keeps them in one folder"
        for n in sorted({n for n in flat if flat.count(n) > 1})
    ]
    faults += [f"{n} lies in {SHIPPED}/, auditkit's own in a pack" for n in named if Path(n).parts[0] == SHIPPED]
    if NAME in flat:
        faults.append(f"{NAME} is the engagement's own name")
    return faults + [
        f"frameworks: no framework {n}; {instead(n, sorted(shipped()))} Your own is a file: {n}.toml"
        for n in engagement.frameworks
        if not _own(n) and n not in shipped()
    ]


def _own(framework: str) -> bool:
    """Whether a framework is named by a file of the entity's."""
    return framework.endswith(".toml")


@cache
def shipped() -> dict[str, Path]:
    """The files of our frameworks, by the name of each framework and of each other version that it tells."""
    found: dict[str, Path] = {}
    for path in sorted((folder("data") / "frameworks").glob("*.toml")):
        written = parse(path)
        found |= {named["name"]: path for named in (written, *written.get("version", ()))}
    return found


def template() -> str:
    """A commented starter auditkit.toml."""
    return (folder("templates") / NAME).read_text(encoding="utf-8")
