"""What Prometheus saw: alerts that fired and targets that were down, in the range of the saved answers."""

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any

from auditkit.capture.imports.prometheus import Fired, Outage, Query, Target
from auditkit.capture.snapshot import Objects
from auditkit.declare import table


@table("prometheus_queries", records=(Query,), key=("name",))
class PrometheusQuery:
    """One row per saved answer of Prometheus: of what, over which range and at which step."""

    namespace: Annotated[str, "Empty."]
    kind: Annotated[str, "Answer."]
    name: Annotated[str, "Name of the file."]
    metric: Annotated[str, "ALERTS or up; nothing where the answer is empty."]
    begins: Annotated[datetime | None, "Its first sample."]
    ends: Annotated[datetime | None, "Its last sample."]
    days: Annotated[float | None, "Days between them."]
    step: Annotated[float | None, "Seconds between two samples; missing where there is one time alone."]
    series: Annotated[int, "Number of series."]

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        for q in objects[Query]:
            days = (q.ends - q.begins).total_seconds() / 86_400 if q.ends and q.begins else None
            yield "", "Answer", q.file, q.metric, q.begins, q.ends, days, q.step, q.series


def _begins(objects: Objects) -> dict[str, datetime | None]:
    """The first sample of each answer: what is there already may have begun before."""
    return {q.file: q.begins for q in objects[Query]}


@table("alerts_fired", records=(Fired, Query), key=("name", "place", "began", "file"))
class AlertFired:
    """One row per span in which an alert fired."""

    namespace: Annotated[str, "Its label namespace; empty where it has none."]
    kind: Annotated[str, "Alert."]
    name: Annotated[str, "Name of the alert."]
    file: Annotated[str, "Name of the file."]
    severity: Annotated[str | None, "Its label severity; missing where it has none."]
    place: Annotated[str, "Its labels that say where: job, instance and the like."]
    began: Annotated[datetime, "First sample in which it fires."]
    cut: Annotated[bool, "That is the first sample of the answer: it may have begun earlier."]
    last: Annotated[datetime, "Last sample in which it fires."]
    ended: Annotated[bool, "It did not fire any more in the samples after."]
    minutes: Annotated[float | None, "Samples times step, in minutes; missing where there is one time alone."]
    step: Annotated[float, "Seconds between two samples: shorter spans may be missed."]

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        begins = objects.once(_begins)
        for f in objects[Fired]:
            minutes = f.samples * f.step / 60 if f.step else None
            place = (f.namespace, "Alert", f.alert, f.file, f.severity, f.place, f.began)
            yield *place, f.began == begins.get(f.file), f.last, f.ended, minutes, f.step


@table("scrape_targets", records=(Target, Outage, Query), key=("job", "instance", "file"))
class ScrapeTarget:
    """One row per target of Prometheus: how long it was up, down and without a sample."""

    namespace: Annotated[str, "Empty: where a target lies its job says."]
    kind: Annotated[str, "Target."]
    name: Annotated[str, "Job and instance of the target."]
    file: Annotated[str, "Name of the file."]
    job: Annotated[str, "Job of the target."]
    instance: Annotated[str, "Instance of the target."]
    samples: Annotated[int, "Samples that the range has at its step."]
    up: Annotated[int, "Of them 1: it answered."]
    down: Annotated[int, "Of them 0: it did not answer."]
    missing: Annotated[int, "Of them not there: Prometheus did not ask, or was down itself."]
    longest_minutes: Annotated[float | None, "Longest span in which no sample says that it was up."]
    longest_down_minutes: Annotated[
        float | None, "Most minutes of one such span of which a sample says that it was down."
    ]
    cut: Annotated[bool, "Such a span begins with the answer: it may have begun earlier."]

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        begins = objects.once(_begins)
        spans: dict[tuple[str, str, str], list[Outage]] = {}
        for o in objects[Outage]:
            spans.setdefault((o.file, o.job, o.instance), []).append(o)
        for t in objects[Target]:
            found = spans.get((t.file, t.job, t.instance), [])
            longest = max((o.down + o.missing for o in found), default=0) * t.step / 60
            down = max((o.down for o in found), default=0) * t.step / 60
            known = bool(t.step) or not found
            cut = any(o.began == begins.get(o.file) for o in found)
            yield (
                "", "Target", f"{t.job} {t.instance}", t.file, t.job, t.instance, t.samples, t.up, t.down, t.missing,
                longest if known else None, down if known else None, cut,
            )  # fmt: skip


@table("targets_down", records=(Outage,), key=("job", "instance", "began", "file"))
class TargetDown:
    """One row per span in which no sample of a target says that it was up."""

    file: Annotated[str, "Name of the file."]
    job: Annotated[str, "Job of the target."]
    instance: Annotated[str, "Instance of the target."]
    began: Annotated[datetime, "First sample that does not say so."]
    last: Annotated[datetime, "Last sample that does not say so."]
    ended: Annotated[bool, "It was up in the sample after."]
    minutes: Annotated[float | None, "Samples times step, in minutes; missing where there is one time alone."]
    down: Annotated[int, "Samples that say down."]
    missing: Annotated[int, "Samples that are not there."]

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        for o in objects[Outage]:
            minutes = (o.down + o.missing) * o.step / 60 if o.step else None
            yield o.file, o.job, o.instance, o.began, o.last, o.ended, minutes, o.down, o.missing
