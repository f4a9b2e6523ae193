"""What policy engines do in each namespace: enforce, only report, leave out, or nothing."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Annotated, Any, NamedTuple

import pandas as pd

from auditkit.analysis import builtin, gatekeeper, kyverno
from auditkit.analysis.effects import Effect, at_admission, called, listed, together
from auditkit.analysis.podsecurity import Mode, effective
from auditkit.analysis.selectors import every
from auditkit.analysis.webhooks import engine_of
from auditkit.capture.snapshot import Objects
from auditkit.declare import table, view
from auditkit.kinds.admission import (
    ValidatingAdmissionPolicy,
    ValidatingAdmissionPolicyBinding,
    ValidatingWebhookConfiguration,
)
from auditkit.kinds.platform import ConfigMap, Namespace
from auditkit.kinds.policies import (
    CelPolicyException,
    CelPolicySpec,
    Constraint,
    ConstraintMatch,
    GatekeeperConfig,
    KyvernoClusterPolicy,
    KyvernoPolicy,
    KyvernoSpec,
    PolicyException,
)
from auditkit.tables.namespaces import SYSTEM
from auditkit.tables.policies import CEL, cel_policies

READ = ("pod-security", "kubernetes", "kyverno", "gatekeeper")
# Names by which all requests, or all of ServiceAccounts, are left out.
EVERYBODY = frozenset({"*", "system:authenticated", "system:serviceaccounts", "system:*"})
# A policy by its name, what it does, and the exceptions to it.
Found = tuple[str, Effect, list[str]]


@table(
    "enforcement",
    kinds=(Namespace,),
    beside=(
        ValidatingWebhookConfiguration,
        ValidatingAdmissionPolicy,
        ValidatingAdmissionPolicyBinding,
        KyvernoClusterPolicy,
        KyvernoPolicy,
        *CEL,
        PolicyException,
        CelPolicyException,
        Constraint,
        GatekeeperConfig,
        ConfigMap,
    ),
    key=("name", "engine"),
)
class Enforcement:
    """One row per namespace and policy engine: which policies are enforced there, which only audited, which leave it out.

    Engines are Pod Security (pod-security), the ValidatingAdmissionPolicies of Kubernetes, Kyverno and Gatekeeper, and
    any other of which a webhook is registered: what that decides is not read. A policy counts where it is about
    the making of objects of namespaces, pods or others; one that mutates or generates refuses nothing and is not counted. Kyverno and
    Gatekeeper refuse only where their webhook is called for objects of the policy's kinds; elsewhere they scan and report.
    Kyverno lets pass what its ConfigMap filters out (resourceFilters), whatever its webhook is called for; whom that leaves
    out is among the exceptions, and leaves the engine open where it is everybody. Not in the API, and so not seen:
    the default level and the exemptions of Pod Security.
    """

    namespace: Annotated[str, "Empty: a Namespace is cluster-scoped."]
    kind: Annotated[str, "Namespace."]
    name: Annotated[str, "Name of the Namespace."]
    system: Annotated[bool, f"Made by Kubernetes itself: {', '.join(sorted(SYSTEM))}."]
    engine: Annotated[str, "pod-security, kubernetes, kyverno, gatekeeper, or another by its webhook."]
    state: Annotated[
        str | None,
        "`enforced` where a policy refuses violations, else `audited` where one reports them, else `exempt` where one "
        "leaves the namespace out, else `nothing`: none is meant for it; missing where one may refuse them.",
    ]
    enforced: Annotated[list[str], "Policies that refuse what violates them; of Pod Security the level."]
    audited: Annotated[list[str], "Policies that report or warn."]
    exempt: Annotated[
        list[str], "Policies that are meant for it and leave it out: by name or label, exception or webhook."
    ]
    undetermined: Annotated[list[str], "Policies of which a condition, label or parameter decides object by object."]
    exceptions: Annotated[
        list[str],
        "Exceptions that hold here, NAMESPACE/NAME, and who is left out; those of a part leave the rest enforced.",
    ]

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        hooks = objects[ValidatingWebhookConfiguration]
        others = sorted({engine_of(h) or "" for c in hooks for h in c.webhooks or ()} - {*READ, ""})
        for one in objects[Namespace]:
            found: dict[str, Iterable[Found]] = {
                "pod-security": _pod_security(one),
                "kubernetes": _built_in(objects, one),
                "kyverno": [*_kyverno(objects, one), *_cel(objects, one)],
                "gatekeeper": _gatekeeper(objects, one),
            }
            for engine in others:
                call = called(hooks, engine, (), one)
                found[engine] = [("webhook", "exempt" if call is False else None, [])]
            for engine, policies in found.items():
                yield ("", one.kind, one.name, one.name in SYSTEM, engine, *_summed(policies))


def _summed(policies: Iterable[Found]) -> tuple[Any, ...]:
    """From `state` to `exceptions`."""
    names: dict[Effect, set[str]] = defaultdict(set)
    exceptions: set[str] = set()
    for name, effect, excepted in policies:
        names[effect].add(name)
        exceptions |= set(excepted)
    state = together(names)
    word = "nothing" if state == "elsewhere" else state
    effects: tuple[Effect, ...] = ("enforced", "audited", "exempt", None)
    return word, *(sorted(names[effect]) for effect in effects), sorted(exceptions)


def _pod_security(namespace: Namespace) -> list[Found]:
    levels = effective(namespace.labels)
    watched = {mode.level for mode in (levels.audit, levels.warn) if mode.level != "privileged"}
    return [_level(levels.enforce), *((level, "audited", []) for level in sorted(watched))]


def _level(mode: Mode) -> Found:
    """privileged refuses nothing; without a label the cluster's default holds, which is not in the API."""
    if not mode.labelled:
        return "default", None, []
    return mode.level, "exempt" if mode.level == "privileged" else "enforced", []


def _built_in(objects: Objects, namespace: Namespace) -> Iterator[Found]:
    policies = {p.name: p.spec for p in objects[ValidatingAdmissionPolicy] if p.spec}
    effects: dict[str, set[Effect]] = defaultdict(set)
    for binding in objects[ValidatingAdmissionPolicyBinding]:
        policy = policies.get((binding.spec and binding.spec.policy_name) or "")
        if binding.spec and policy:
            effects[str(binding.spec.policy_name)].add(builtin.by_binding(policy, binding.spec, namespace))
    for name, found in effects.items():
        yield name, together(found), []


def _kyverno(objects: Objects, namespace: Namespace) -> Iterator[Found]:
    policies: list[KyvernoClusterPolicy | KyvernoPolicy] = [
        *objects[KyvernoClusterPolicy],
        *(one for one in objects[KyvernoPolicy] if one.namespace == namespace.name),
    ]
    call, asking = _admitted(objects, namespace), objects.once(left_out_by_kyverno).asking
    for policy in policies:
        spec = policy.spec or KyvernoSpec()
        name = f"{policy.namespace}/{policy.name}" if policy.namespace else policy.name
        effect = kyverno.effect(spec, call, namespace)
        yield _excepted(name, effect, [*kyverno.excepted(name, spec, objects[PolicyException], namespace), *asking])


def _cel(objects: Objects, namespace: Namespace) -> Iterator[Found]:
    call, asking = _admitted(objects, namespace), objects.once(left_out_by_kyverno).asking
    for policy in cel_policies(objects):
        if policy.namespace in ("", namespace.name):
            effect = kyverno.cel_effect(policy.spec or CelPolicySpec(), call, namespace)
            found = kyverno.cel_excepted(policy.kind, policy.name, objects[CelPolicyException])
            yield _excepted(f"{policy.kind}/{policy.name}", effect, [*found, *asking])


def _calls(objects: Objects, engine: str, namespace: Namespace) -> kyverno.Called:
    """Whether the engine's webhook is called for objects of some kinds: looked up once a namespace."""

    @cache
    def call(about: tuple[str, ...]) -> bool | None:
        return called(objects[ValidatingWebhookConfiguration], engine, about, namespace)

    return lambda about: call(tuple(about))


class LeftOut(NamedTuple):
    """What Kyverno leaves out by its ConfigMap: objects, who asks as exceptions of a part, and whether that is everybody."""

    filters: list[str]
    asking: list[tuple[str, bool]]
    everybody: bool


def left_out_by_kyverno(objects: Objects) -> LeftOut:
    """By the ConfigMaps beside Kyverno: it reads that of its own namespace (pkg/config, KyvernoNamespace)."""
    hooks = [h for c in objects[ValidatingWebhookConfiguration] for h in c.webhooks or () if engine_of(h) == "kyverno"]
    home = {h.client_config.service.namespace for h in hooks if h.client_config and h.client_config.service}
    found = [(one.name, one.kyverno) for one in objects[ConfigMap] if one.namespace in home and one.kyverno]
    lists = [(name, key, names) for name, own in found for key, names in (own.asking or {}).items()]
    asking = [(f"ConfigMap {name}: {key} {', '.join(names)}", False) for name, key, names in lists]
    everybody = any(not EVERYBODY.isdisjoint(names) for _, key, names in lists)
    return LeftOut([text for _, own in found for text in own.filters or ()], asking, everybody)


def _admitted(objects: Objects, namespace: Namespace) -> kyverno.Called:
    """Whether Kyverno decides about objects of some kinds: its webhook is called, and it does not let them pass unseen."""
    call, left_out = _calls(objects, "kyverno", namespace), objects.once(left_out_by_kyverno)

    return lambda about: every([call(about), looked_at(left_out, about, namespace)])


def looked_at(left_out: LeftOut, about: Sequence[str], namespace: Namespace) -> bool | None:
    """Whether Kyverno looks at objects of these kinds that its webhook brings; None where it does at some of them."""
    passed = kyverno.left_out(left_out.filters, about, namespace.name)
    return every([None if passed is None else not passed, None if left_out.everybody else True])


def _excepted(name: str, effect: Effect, exceptions: list[tuple[str, bool]]) -> Found:
    """An exception that takes out the whole namespace makes it exempt; `elsewhere` stays so."""
    if effect == "elsewhere":
        return name, effect, []
    whole = any(taken for _, taken in exceptions)
    return name, "exempt" if whole else effect, [one for one, _ in exceptions]


def _gatekeeper(objects: Objects, namespace: Namespace) -> Iterator[Found]:
    configs = objects[GatekeeperConfig]
    left_out = listed(namespace.name, gatekeeper.excluded(configs, "webhook"))
    scanned = not listed(namespace.name, gatekeeper.excluded(configs, "audit"))
    names = [f"{one.namespace}/{one.name}" for one in configs if left_out or not scanned]
    call = _calls(objects, "gatekeeper", namespace)
    for one in objects[Constraint]:
        about = gatekeeper.kinds_of((one.spec and one.spec.match) or ConstraintMatch())
        effect = gatekeeper.effect(one, namespace)
        if effect in ("enforced", "audited", None):
            effect = at_admission(effect, False if left_out else call(about), scanned=scanned)
        yield one.name, effect, [] if effect == "elsewhere" else names


@view("namespace_enforcement", key=("name",))
class NamespaceEnforcement:
    """One row per namespace that Kubernetes did not make itself: what all policy engines together do there."""

    namespace: Annotated[str, "Empty: a Namespace is cluster-scoped."]
    kind: Annotated[str, "Namespace."]
    name: Annotated[str, "Name of the Namespace."]
    enforcing: Annotated[list[str], "Engines that refuse what violates a policy."]
    auditing: Annotated[list[str], "Engines that only report or warn."]
    left_out: Annotated[
        list[str], "ENGINE/POLICY of what other namespaces enforce, and this one only audits or is exempt from."
    ]
    enforced: Annotated[bool | None, "At least one engine refuses violations; missing where one may."]

    @staticmethod
    def frame(enforcement: pd.DataFrame) -> pd.DataFrame:
        rows = enforcement[~enforcement.system]
        frame = rows[["namespace", "kind", "name"]].drop_duplicates()
        for column, state in {"enforcing": "enforced", "auditing": "audited"}.items():
            chosen = rows[(rows.state == state).fillna(False)]
            engines = {str(name): list(found) for name, found in chosen.groupby("name")["engine"]}
            frame[column] = [engines.get(name, []) for name in frame["name"]]
        left_out = _left_out(rows)
        frame["left_out"] = [sorted(left_out[name]) for name in frame["name"]]
        may = frame["name"].isin(rows["name"][rows.state.isna()])
        enforced = pd.Series([bool(one) for one in frame.enforcing], index=frame.index, dtype="boolean")
        frame["enforced"] = enforced.mask(~enforced & may)
        return frame


def _left_out(rows: pd.DataFrame) -> Mapping[str, set[str]]:
    """By namespace the policies that are enforced in another and not in it; the levels of Pod Security are none."""
    policies = rows[rows.engine != "pod-security"]
    columns = (policies[name].tolist() for name in ("name", "engine", "enforced", "audited", "exempt"))
    whole: list[tuple[str, str, list[str], list[str], list[str]]] = list(zip(*columns, strict=True))
    strict = {(engine, policy) for _, engine, enforced, _, _ in whole for policy in enforced}
    found: dict[str, set[str]] = defaultdict(set)
    for name, engine, _, audited, exempt in whole:
        found[name] |= {f"{engine}/{policy}" for policy in (*audited, *exempt) if (engine, policy) in strict}
    return found
