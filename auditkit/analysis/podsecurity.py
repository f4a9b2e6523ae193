"""The Pod Security Standards as the admission plugin of Kubernetes decides them, for every policy version."""

import re
from collections.abc import Mapping
from typing import Any, cast

import msgspec

from auditkit.analysis.podrules import LEVELS, Facts, Level, handlers, rules_of
from auditkit.kinds.base import read
from auditkit.kinds.pods import PodSecurityContext, SecurityContext
from auditkit.kinds.workloads import Pod, PodTemplateSpec, Workload
from auditkit.kinds.workloads import pod_template as _pod_template

NEWEST = 36
# Go's strconv.Atoi fails above it.
_LARGEST_INT = 2**63 - 1


class Violation(msgspec.Struct, frozen=True):
    """`check` is upstream's check id; `path` the field at fault, or the one that is missing."""

    check: str
    message: str
    path: str


class Mode(msgspec.Struct, frozen=True):
    """One of enforce, audit and warn: the level and version that apply, and whether a label says so validly.

    `labelled` is False where the cluster's default applies, which the API does not show.
    """

    level: Level
    version: str
    labelled: bool
    valid: bool


class Levels(msgspec.Struct, frozen=True):
    """What applies to a namespace; `errors` are the labels that the API server refuses when they are set."""

    enforce: Mode
    audit: Mode
    warn: Mode
    errors: tuple[str, ...] = ()


def pod_template(obj: Workload | PodTemplateSpec | Mapping[str, Any]) -> Pod | PodTemplateSpec:
    """What a workload (a Struct or a manifest) makes its pods from; a Pod and a template are their own.

    A manifest without `kind` is a pod or template; `metadata` may be left out. Raises TypeError where `obj` makes no
    pods, msgspec.ValidationError where a manifest is malformed.
    """
    if isinstance(obj, PodTemplateSpec):
        return obj
    if not isinstance(obj, Mapping):
        return _pod_template(obj)
    if obj.get("kind"):
        return _pod_template({"metadata": {}, **obj})
    if not {"template", "jobTemplate"}.isdisjoint(obj.get("spec") or ()) or "template" in obj:
        raise TypeError("a workload's manifest needs its kind")
    return read(PodTemplateSpec, obj)


def violations(
    pod: Workload | PodTemplateSpec | Mapping[str, Any], *, level: str, version: str = "latest"
) -> tuple[Violation, ...]:
    """What a pod, or the template of a workload, holds against a level of the Pod Security Standards.

    `version` is "latest" or "v1.N"; one newer than Kubernetes 1.36 means 1.36 (registry.go). A volume of a
    source that 1.36 does not know violates restrictedVolumes, as upstream's default branch has it; see
    `undetermined`. Raises ValueError for an unknown level or version, TypeError where `pod` makes no pods.
    """
    if level not in LEVELS:
        raise ValueError(f"level {level!r} is none of {', '.join(LEVELS)}")
    minor = _minor(version)
    if minor is None:
        raise ValueError(f'version {version!r} is neither "latest" nor v1.N')
    rules = rules_of(level, minor)
    facts = _facts(pod)
    if facts is None:
        return ()
    return tuple(Violation(check, message, path) for check, rule in rules for path, message in rule(facts))


def undetermined(pod: Workload | PodTemplateSpec | Mapping[str, Any]) -> tuple[str, ...]:
    """Paths of members that Kubernetes 1.36 does not know and that could change a verdict of `violations`."""
    facts = _facts(pod)
    if facts is None:
        return ()
    paths = [f"spec.volumes[{i}].{name}" for i, v in enumerate(facts.spec.volumes or ()) for name in v.unknown]
    for field, i, container in facts.containers:
        for name, handler in handlers(container):
            paths += [f"spec.{field}[{i}].{name}.{member}" for member in handler.unknown]
        if container.lifecycle:
            paths += [f"spec.{field}[{i}].lifecycle.{member}" for member in container.lifecycle.unknown]
    return tuple(paths)


_MODES: Mapping[str, Level] = {"enforce": "restricted", "audit": "privileged", "warn": "privileged"}


def effective(namespace_labels: Mapping[str, str] | None) -> Levels:
    """The levels of a namespace by its pod-security.kubernetes.io labels (api/helpers.go PolicyToEvaluate).

    An invalid level enforces restricted but audits and warns of nothing; an invalid version is latest;
    warn without a label follows a stricter, valid enforce. Where no label is, privileged:latest stands for the
    cluster's default, which with the exemptions is in a file of the API server and not in the API.
    """
    labels = namespace_labels or {}
    modes, errors = {}, []
    for mode, fallback in _MODES.items():
        prefix = f"pod-security.kubernetes.io/{mode}"
        level, version = labels.get(prefix), labels.get(f"{prefix}-version")
        known = level is None or level in LEVELS
        dated = version is None or _minor(version) is not None
        if not known:
            errors.append(f"metadata.labels[{prefix}]: {level!r} must be one of {', '.join(LEVELS)}")
        if not dated:
            errors.append(f'metadata.labels[{prefix}-version]: {version!r} must be "latest" or "v1.x"')
        modes[mode] = Mode(
            level=cast(Level, level or "privileged") if known else fallback,
            version=version if version is not None and dated else "latest",
            labelled=level is not None,
            valid=known and dated,
        )
    enforce, warn = modes["enforce"], modes["warn"]
    explicit = labels.get("pod-security.kubernetes.io/enforce") in LEVELS
    if not warn.labelled and explicit and LEVELS.index(enforce.level) > LEVELS.index(warn.level):
        own_version = "pod-security.kubernetes.io/warn-version" in labels
        modes["warn"] = Mode(enforce.level, warn.version if own_version else enforce.version, False, warn.valid)
    return Levels(**modes, errors=tuple(errors))


def _minor(version: str) -> int | None:
    """The policy version's N of "v1.N", at most the newest; None where it is invalid (helpers.go ParseVersion)."""
    if version == "latest":
        return NEWEST
    match = re.fullmatch(r"v1\.(0|[1-9][0-9]*)", str(version), re.ASCII)
    return min(int(match[1]), NEWEST) if match and int(match[1]) <= _LARGEST_INT else None


def _facts(pod: Workload | PodTemplateSpec | Mapping[str, Any]) -> Facts | None:
    made = pod_template(pod)
    spec = made.spec
    if spec is None:
        return None
    containers = [
        (field, i, container)
        for field, found in (
            ("initContainers", spec.init_containers),
            ("containers", spec.containers),
            ("ephemeralContainers", spec.ephemeral_containers),
        )
        if found
        for i, container in enumerate(found)
    ]
    contexts: list[tuple[str, PodSecurityContext | SecurityContext]] = [
        (f"spec.{field}[{i}].securityContext", c.security_context) for field, i, c in containers if c.security_context
    ]
    if spec.security_context:
        contexts.insert(0, ("spec.securityContext", spec.security_context))
    return Facts((made.metadata and made.metadata.annotations) or {}, spec, containers, contexts)
