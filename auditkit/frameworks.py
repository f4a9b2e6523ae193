"""Controls and frameworks, joined with results into the control matrix and the coverage of a framework."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from auditkit import catalogue
from auditkit.declare import CHECKS
from auditkit.engagement import Engagement, parse, shipped
from auditkit.errors import Faults, UsageError, faults_of, instead
from auditkit.evaluate import declared
from auditkit.resources import data, folder
from auditkit.tally import Counted, ManagementResult, Tally

# The framework whose criteria controls name, and the benchmark that a workbook lists beside it.
SOC2, CIS = "soc2-2017", "cis-1.12"
CONTROLS = "controls.toml"


class _Data(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Requirement(_Data):
    """One criterion or item; titles are our own words.

    `checks` answer it directly (else the controls that name it do), by those `rows` of their populations that have one
    of the values in each column, where they test more than the item; `imports` (data/rows.toml) bring what a
    cluster does not show; `manual` says why nothing in a cluster does, and what is needed; `remaining` what
    stays manual beside the checks.
    """

    id: str
    title: str
    category: str = ""
    checks: tuple[str, ...] = ()
    rows: dict[str, tuple[str, ...]] = {}
    imports: tuple[str, ...] = ()
    evidence: str = ""
    remaining: str = ""
    manual: str = ""


class _Named(_Data):
    # It names a sheet of the workbook: " coverage" follows, and a sheet has 31 characters.
    name: str = Field(pattern=r"^[A-Za-z0-9._-]{1,22}$")
    title: str


class Version(_Named):
    """Another version of a framework, told by what differs.

    `renumbered` are the ids that requirements have there; `without` those that it has not; `requirement` those
    that it alone has.
    """

    renumbered: dict[str, str] = {}
    without: tuple[str, ...] = ()
    requirement: tuple[Requirement, ...] = ()


class Framework(_Named):
    """A catalogue of requirements, e.g. the 61 criteria of SOC 2."""

    requirement: tuple[Requirement, ...]
    version: tuple[Version, ...] = ()

    def __repr__(self) -> str:
        return f"<Framework {self.name}: {len(self.requirement)} requirements>"

    def as_version(self, name: str) -> "Framework":
        """The framework itself, or as its version of that name numbers it."""
        if name == self.name:
            return self
        other = next(v for v in self.version if v.name == name)
        kept = [
            r.model_copy(update={"id": other.renumbered.get(r.id, r.id)})
            for r in self.requirement
            if r.id not in other.without
        ]
        ordered = sorted([*kept, *other.requirement], key=lambda r: [int(n) for n in re.findall(r"\d+", r.id)])
        return Framework(name=name, title=other.title, requirement=tuple(ordered))


class Criteria(_Data):
    primary: tuple[str, ...] = ()
    supporting: tuple[str, ...] = ()


class Activity(_Data):
    """A control as written in controls.toml, without its id; `why` says for each criterion why it speaks to it."""

    title: str
    statement: str
    owner: str
    frequency: str
    type: Literal["preventive", "detective", "corrective"]
    nature: Literal["automated", "manual", "IT-dependent manual"]
    risk: str
    criteria: Criteria
    why: dict[str, str] = {}
    checks: tuple[str, ...] = ()
    manual: tuple[str, ...] = ()
    key: bool = False


class Control(Activity):
    """A control activity: what the entity does, the checks that test it and what a person still performs.

    `stated` are the keys that the entity's own file gives; the others are our proposal.
    """

    id: str
    stated: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"<Control {self.id} {self.title}: {len(self.checks)} checks>"

    @property
    def primary(self) -> tuple[str, ...]:
        return self.criteria.primary

    @property
    def supporting(self) -> tuple[str, ...]:
        return self.criteria.supporting

    @property
    def rests_on_people(self) -> bool:
        """Whether its checks cannot decide it: what people do is not in a cluster, checks see only signs of it."""
        return self.nature == "manual" or (self.nature != "automated" and bool(self.manual))


def load(name: str | Path) -> Framework:
    """A framework of ours by name and version (soc2-2017, cis-1.12, cis-2.0.1), or of the user by path of a .toml file.

    Raises UsageError where there is none, Faults with all that is wrong in the file.
    """
    own = Path(name)
    path = own if own.suffix == ".toml" else shipped().get(str(name), own)
    if not path.is_file():
        raise UsageError(f"no framework {name}, and no .toml file there; {instead(str(name), names())}")
    try:
        framework = Framework.model_validate(parse(path))
    except ValidationError as error:
        raise Faults(str(path), faults_of(error, Framework)) from None
    framework = framework if own.suffix == ".toml" else framework.as_version(str(name))
    faults = _wrong(framework, answered=own.suffix == ".toml")
    if faults:
        raise Faults(str(path), faults)
    return framework


def _wrong(framework: Framework, answered: bool) -> list[str]:
    """What is wrong with its requirements; `answered` where no control names them, so that each has to say itself."""
    ids = Counter(r.id for r in framework.requirement)
    known = catalogue.imports()
    faults = [f"{id}: stands there {n} times" for id, n in ids.items() if n > 1]
    for r in framework.requirement:
        faults += [f"{r.id}.checks: {_no_check(c)}" for c in r.checks if c not in CHECKS]
        columns = [{c.name for c in declared(CHECKS[id].population).columns} for id in r.checks if id in CHECKS]
        faults += [
            f"{r.id}.rows: {c} is no column of what its checks test"
            for c in r.rows
            if not all(c in known for known in columns)
        ]
        faults += [f"{r.id}.imports: no import {i}; {instead(i, known)}" for i in r.imports if i not in known]
        if answered and not (r.checks or r.imports or r.manual):
            faults.append(f"{r.id}: neither `checks` nor `manual` (why nothing in a cluster answers it)")
    return faults


def _no_check(id: str) -> str:
    return f"no check {id}; {instead(id, CHECKS, '`auditkit checks`')}"


def settled(engagement: Engagement) -> Engagement:
    """The same engagement, once every file that it names was looked at: its frameworks and controls. Raises as they do."""
    chosen(engagement)
    controls(engagement)
    return engagement


def chosen(engagement: Engagement) -> tuple[Framework, ...]:
    """The frameworks that the engagement names, ours or its own.

    Raises Faults where two have one name, as each has a sheet of its own.
    """
    found = tuple(load(engagement.framework(name)) for name in engagement.frameworks)
    twice = [name for name, n in Counter(f.name for f in found).items() if n > 1]
    if twice:
        raise Faults("frameworks", [f"two are named {name}; give your own another `name`" for name in twice])
    return found


def names() -> list[str]:
    """Names of the frameworks in this installation, and of their other versions."""
    return sorted(shipped())


def answered() -> dict[str, dict[str, list[str]]]:
    """By check and framework (every version): the requirements that it answers, itself or by a control they are primary for."""
    known, found = controls(), defaultdict[str, dict[str, list[str]]](dict)
    for name in names():
        for requirement in load(name).requirement:
            primary = (check for c in known if requirement.id in c.primary for check in c.checks)
            for check in sorted({*requirement.checks, *(primary if name == SOC2 else ())}):
                found[check].setdefault(name, []).append(requirement.id)
    return dict(found)


def controls(engagement: Engagement | None = None) -> tuple[Control, ...]:
    """Our control activities, changed and added to by the engagement's own file; key by key, sorted by id.

    Raises Faults with all that is wrong: unknown checks and criteria, criteria left without control or reason.
    """
    own = engagement.controls_path if engagement else None
    texts: dict[str, dict[str, Any]] = {**data(CONTROLS)}
    changes = parse(own) if own else {}
    for id, change in changes.items():
        if not isinstance(change, dict):
            raise Faults(str(own), [f"{id}: not a control; write [{id}-01] with its keys"])
        texts[id] = {**texts.get(id, {}), **change}
    found, faults = [], []
    for id, text in sorted(texts.items()):
        try:
            found.append(Control.model_validate({**text, "id": id, "stated": tuple(changes.get(id, ()))}))
        except ValidationError as error:
            faults += faults_of(error, Control, id)
    faults += _dangling(found)
    if faults:
        raise Faults(str(own or folder("data") / CONTROLS), faults)
    return tuple(found)


def _dangling(controls: Iterable[Control]) -> list[str]:
    requirements = {r.id: r for r in load(SOC2).requirement}
    faults, named = [], set()
    for control in controls:
        faults += [f"{control.id}.checks: {_no_check(check)}" for check in control.checks if check not in CHECKS]
        criteria = (*control.primary, *control.supporting)
        faults += [
            f"{control.id}.criteria: no criterion {id}; {instead(id, requirements, f'`auditkit frameworks {SOC2}`')}"
            for id in criteria
            if id not in requirements
        ]
        reasons = control.why if "why" in control.stated else ()
        faults += [f"{control.id}.why: {id} is not among its criteria" for id in reasons if id not in criteria]
        named |= set(criteria)
    silent = (r for r in requirements.values() if r.id not in named and not r.checks and not r.manual)
    return faults + [f"criterion {r.id}: no control names it, and no `manual` says why" for r in silent]


def control_matrix(results: Counted, controls: Iterable[Control]) -> pd.DataFrame:
    """One row per control: its description, tests and management's result.

    A control that rests on people is never `No exceptions noted` by tests: its `Manual part` is `open`.
    `Rows tested` sums the populations of its tests; cells of the auditor are added blank by the workbook.
    """
    rows = []
    for control in controls:
        tally = Tally.of(results, control.checks)
        hint = "manual procedures remain" if control.rests_on_people and control.manual else ""
        rows.append(
            {
                "Control": control.id,
                "Title": control.title,
                "Control activity": control.statement,
                "Primary criteria": ", ".join(control.primary),
                "Supporting criteria": ", ".join(control.supporting),
                "Risk addressed": control.risk,
                "Control owner": control.owner,
                "Frequency": control.frequency,
                "Nature": control.nature,
                "Type": control.type,
                "Key": "yes" if control.key else "no",
                "Tests": ", ".join(control.checks),
                "Rows tested": tally.rows,
                "Exceptions": tally.exceptions,
                "Undetermined": tally.undetermined,
                **tally.columns,
                "Conclusion": tally.conclusion or "",
                "Management's result": _result(tally, [control]),
                "Note": "; ".join(filter(None, [tally.note, hint])),
                "Manual procedures": "\n".join(control.manual),
            }
        )
    return pd.DataFrame(rows)


def coverage(results: Counted, framework: Framework, controls: Iterable[Control]) -> pd.DataFrame:
    """One row per requirement, also those that no cluster can show: source, tests, result, what remains manual.

    Tests are the requirement's own and those of controls that name it as primary; they alone give counts and
    result (without any, counts are missing). Tests of controls that only support it are counted beside them.
    The note names the primary controls that tests alone do not decide: a result beside them is not theirs.
    """
    known = tuple(controls)
    frame = pd.DataFrame([_covered(results, requirement, known) for requirement in framework.requirement])
    return frame.astype(dict.fromkeys(("Exceptions", "Undetermined", "Supporting exceptions"), "Int64"))


def _result(tally: Tally, primary: Iterable[Control]) -> ManagementResult:
    people = any(control.rests_on_people for control in primary)
    return "Manual part open" if tally.result == "No exceptions noted" and people else tally.result


def _covered(results: Counted, requirement: Requirement, controls: tuple[Control, ...]) -> dict[str, Any]:
    primary = [c for c in controls if requirement.id in c.primary]
    supporting = [c for c in controls if requirement.id in c.supporting]
    checks = {*requirement.checks, *(check for c in primary for check in c.checks)}
    beside = {check for c in supporting for check in c.checks} - checks
    tally, support = Tally.of(results, checks, requirement.rows), Tally.of(results, beside)
    untested = ", ".join(sorted(c.id for c in primary if checks and (c.rests_on_people or not c.checks)))
    only_supports = bool(beside) and not checks
    hints = [
        "supporting tests only" if only_supports else "",
        f"tests alone do not decide {untested}" if untested else "",
    ]
    return {
        "Requirement": requirement.id,
        "Title": requirement.title,
        "Category": requirement.category,
        "Source": _source(requirement, bool(checks), bool(beside)),
        "Controls": ", ".join(sorted({c.id for c in primary + supporting})),
        "Primary controls": ", ".join(sorted(c.id for c in primary)),
        "Supporting controls": ", ".join(sorted(c.id for c in supporting)),
        "Why these controls": "\n".join(_reasons(requirement, [*primary, *supporting])),
        "Tests": ", ".join(sorted(checks)),
        "Exceptions": tally.exceptions if checks else None,
        "Undetermined": tally.undetermined if checks else None,
        **tally.columns,
        "Supporting tests": ", ".join(sorted(beside)),
        "Supporting exceptions": support.exceptions if beside else None,
        "Management's result": "Supporting tests only" if only_supports else _result(tally, primary),
        "Note": "; ".join(filter(None, [*hints, tally.note if checks or not beside else ""])),
        "Evidence that a cluster can give": requirement.evidence,
        "Remains manual": requirement.remaining or requirement.manual,
    }


def _source(requirement: Requirement, tested: bool, supported: bool) -> str:
    """Where its evidence is from; tests of which only some rows speak of it are those that others performed."""
    if tested:
        return f"import {', '.join(requirement.imports)}" if requirement.rows and requirement.imports else "cluster"
    return "cluster, supporting" if supported else "external" if requirement.imports else "manual"


def _reasons(requirement: Requirement, named: Iterable[Control]) -> list[str]:
    """Why each of the controls that name the requirement speaks to it."""
    return [f"{c.id}: {c.why[requirement.id]}" for c in named if requirement.id in c.why]


def controls_frame(controls: Iterable[Control]) -> pd.DataFrame:
    """One row per control: id, title, criteria, owner, frequency, checks, and why it speaks to each criterion."""
    rows = [
        {
            "id": c.id,
            "title": c.title,
            "primary": ", ".join(c.primary),
            "supporting": ", ".join(c.supporting),
            "owner": c.owner,
            "frequency": c.frequency,
            "checks": ", ".join(c.checks),
            "why": c.why,
        }
        for c in controls
    ]
    return pd.DataFrame(rows)


def requirements_frame(framework: Framework, controls: Iterable[Control]) -> pd.DataFrame:
    """One row per requirement: id, title, category, controls that name it, checks, imports, and what remains manual."""
    known = tuple(controls)
    rows = [
        {
            "id": r.id,
            "title": r.title,
            "category": r.category,
            "primary controls": ", ".join(c.id for c in known if r.id in c.primary),
            "supporting controls": ", ".join(c.id for c in known if r.id in c.supporting),
            "checks": ", ".join(r.checks),
            "imports": ", ".join(r.imports),
            "remains manual": r.remaining or r.manual,
        }
        for r in framework.requirement
    ]
    return pd.DataFrame(rows)
