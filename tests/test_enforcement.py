"""What policies do in a namespace: the rules of each engine, by the manifests that a user writes."""

from typing import Any

import pytest
import yaml
from builders import snapshot

from auditkit.evaluate import Tables

WEB = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "web", "labels": {"env": "prod"}}}
LAB = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "lab", "labels": {"env": "lab"}}}
PODS = [{"operations": ["CREATE", "UPDATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}]
POD = {"any": [{"resources": {"kinds": ["Pod"]}}]}


def manifest(text: str) -> Any:
    return yaml.safe_load(text)


def hook(engine: str, **more: Any) -> dict[str, Any]:
    called = {"service": {"namespace": engine, "name": "webhook"}}
    one = {"name": engine, "clientConfig": called, "rules": PODS, **more}
    kind = "ValidatingWebhookConfiguration"
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": kind,
        "metadata": {"name": engine},
        "webhooks": [one],
    }


def states(engine: str, *manifests: dict[str, Any]) -> tuple[str | None, str | None]:
    """What the engine does in the namespaces web (env: prod) and lab (env: lab)."""
    frame = Tables(snapshot([WEB, LAB, *manifests])).enforcement
    found = frame[frame.engine == engine].set_index("name").state
    return tuple(None if found.isna()[name] else found[name] for name in ("web", "lab"))  # type: ignore[return-value]


# ValidatingAdmissionPolicies


def bound(policy: str = "", binding: str = "", actions: str = "[Deny]") -> list[dict[str, Any]]:
    """A policy p about pods and its binding, with more in their specs."""
    group = {"apiVersion": "admissionregistration.k8s.io/v1"}
    about = {"validations": [{"expression": "true"}], "matchConstraints": {"resourceRules": PODS}}
    by = {"policyName": "p", "validationActions": manifest(actions)}
    return [
        {
            **group,
            "kind": "ValidatingAdmissionPolicy",
            "metadata": {"name": "p"},
            "spec": {**about, **manifest(f"{{{policy}}}")},
        },
        {
            **group,
            "kind": "ValidatingAdmissionPolicyBinding",
            "metadata": {"name": "b"},
            "spec": {**by, **manifest(f"{{{binding}}}")},
        },
    ]


LEFT_OUT = "namespaceSelector: {matchExpressions: [{key: env, operator: NotIn, values: [lab]}]}"


@pytest.mark.parametrize(
    ("policy", "binding", "actions", "expected"),
    [
        ("", "", "[Deny]", ("enforced", "enforced")),
        ("", "", "[Warn, Audit]", ("audited", "audited")),
        ("", "", "[Deny, Audit]", ("enforced", "enforced")),
        ("", "matchResources: {namespaceSelector: {matchLabels: {env: prod}}}", "[Deny]", ("enforced", "nothing")),
        ("", f"matchResources: {{{LEFT_OUT}}}", "[Deny]", ("enforced", "exempt")),
        ("", "matchResources: {objectSelector: {matchLabels: {a: b}}}", "[Deny]", (None, None)),
        ("matchConditions: [{name: a, expression: 'true'}]", "", "[Deny]", (None, None)),
        ("", "paramRef: {name: x, parameterNotFoundAction: Deny}", "[Deny]", ("enforced", "enforced")),
        ("", "paramRef: {name: x, parameterNotFoundAction: Allow}", "[Deny]", (None, None)),
        (
            "matchConstraints: {resourceRules: [{operations: [CREATE], apiGroups: [''], apiVersions: [v1], resources: [nodes]}]}",
            "",
            "[Deny]",
            ("nothing", "nothing"),
        ),
    ],
)
def test_admission_policies(policy: str, binding: str, actions: str, expected: tuple[str | None, str | None]) -> None:
    assert states("kubernetes", *bound(policy, binding, actions)) == expected


def test_a_policy_without_a_binding_does_nothing() -> None:
    assert states("kubernetes", bound()[0]) == ("nothing", "nothing")


# Kyverno


def kyverno(rule: dict[str, Any], **spec: Any) -> dict[str, Any]:
    whole = {"name": "r", "match": POD, **rule}
    return {
        "apiVersion": "kyverno.io/v1",
        "kind": "ClusterPolicy",
        "metadata": {"name": "p"},
        "spec": {"rules": [whole], **spec},
    }


ENFORCE = {"validate": {"failureAction": "Enforce"}}
OVERRIDE = [{"action": "Audit", "namespaces": ["l*"]}]
BY_LABEL = [{"action": "Audit", "namespaceSelector": {"matchLabels": {"env": "lab"}}}]
ODD = [{"action": "Audit", "namespaces": ["lab"], "unheardOf": 1}]


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (kyverno(ENFORCE), ("enforced", "enforced")),
        (kyverno({"validate": {}}), ("audited", "audited")),
        (kyverno({"validate": {}}, validationFailureAction="enforce"), ("enforced", "enforced")),
        (kyverno({"mutate": {}}), ("nothing", "nothing")),
        (kyverno({"verifyImages": [{"failureAction": "Enforce"}]}), ("enforced", "enforced")),
        (
            kyverno({"validate": {}}, validationFailureAction="Enforce", validationFailureActionOverrides=OVERRIDE),
            ("enforced", "audited"),
        ),
        (
            kyverno({"validate": {"failureAction": "Enforce", "failureActionOverrides": BY_LABEL}}),
            ("enforced", "audited"),
        ),
        (kyverno({"validate": {"failureAction": "Enforce", "failureActionOverrides": ODD}}), ("enforced", None)),
        (kyverno(ENFORCE, admission=False), ("audited", "audited")),
        (kyverno({**ENFORCE, "preconditions": {"all": []}}), (None, None)),
        (
            kyverno({**ENFORCE, "match": {"any": [{"resources": {"kinds": ["Pod"], "namespaces": ["w?b"]}}]}}),
            ("enforced", "nothing"),
        ),
        (kyverno({**ENFORCE, "match": {"resources": {"kinds": ["v1/Pod"]}}}), ("enforced", "enforced")),
        (kyverno({**ENFORCE, "match": {"any": [{"resources": {"kinds": ["ClusterRole"]}}]}}), ("nothing", "nothing")),
        (kyverno({**ENFORCE, "exclude": {"any": [{"resources": {"namespaces": ["lab"]}}]}}), ("enforced", "exempt")),
        (
            kyverno({**ENFORCE, "exclude": {"any": [{"resources": {"namespaces": ["lab"], "names": ["x"]}}]}}),
            ("enforced", None),
        ),
        (kyverno({**ENFORCE, "exclude": {"any": [{"clusterRoles": ["cluster-admin"]}]}}), (None, None)),
        # Kyverno asks about Services by a webhook that is not there: they are scanned.
        (kyverno({**ENFORCE, "match": {"any": [{"resources": {"kinds": ["Service"]}}]}}), ("audited", "audited")),
    ],
)
def test_kyverno(policy: dict[str, Any], expected: tuple[str | None, str | None]) -> None:
    assert states("kyverno", hook("kyverno"), policy) == expected


def test_rules_that_differ_in_their_action_are_open() -> None:
    policy = kyverno(ENFORCE)
    policy["spec"]["rules"].append({"name": "s", "match": POD, "validate": {"failureAction": "Audit"}})
    assert states("kyverno", hook("kyverno"), policy) == (None, None)


@pytest.mark.parametrize(
    ("more", "background", "expected"),
    [
        ({"namespaceSelector": {"matchLabels": {"env": "prod"}}}, True, ("enforced", "audited")),
        ({"namespaceSelector": {"matchLabels": {"env": "prod"}}}, False, ("enforced", "exempt")),
        ({"objectSelector": {"matchLabels": {"a": "b"}}}, True, (None, None)),
        ({"matchConditions": [{"name": "a", "expression": "true"}]}, True, (None, None)),
    ],
)
def test_kyverno_refuses_only_what_its_webhook_is_called_for(
    more: dict[str, Any], background: bool, expected: tuple[str | None, str | None]
) -> None:
    assert states("kyverno", hook("kyverno", **more), kyverno(ENFORCE, background=background)) == expected


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (
            "exceptions: [{policyName: p, ruleNames: [r]}], match: {any: [{resources: {kinds: [Pod], namespaces: [lab]}}]}",
            "exempt",
        ),
        ("exceptions: [{policyName: p, ruleNames: ['*']}], match: {any: [{resources: {namespaces: [lab]}}]}", "exempt"),
        (
            "exceptions: [{policyName: p, ruleNames: [other]}], match: {any: [{resources: {namespaces: [lab]}}]}",
            "enforced",
        ),
        (
            "exceptions: [{policyName: p, ruleNames: [r]}], match: {any: [{resources: {namespaces: [lab], names: [x]}}]}",
            "enforced",
        ),
        (
            "exceptions: [{policyName: p, ruleNames: [r]}], match: {any: [{resources: {kinds: [Service], namespaces: [lab]}}]}",
            "enforced",
        ),
        ("exceptions: [{policyName: q, ruleNames: [r]}], match: {any: [{resources: {namespaces: [lab]}}]}", "enforced"),
    ],
)
def test_an_exception_that_takes_out_a_part_leaves_the_rest_enforced(spec: str, expected: str) -> None:
    one = manifest(
        f"{{apiVersion: kyverno.io/v2, kind: PolicyException, metadata: {{name: e, namespace: ci}}, spec: {{{spec}}}}}"
    )
    assert states("kyverno", hook("kyverno"), kyverno(ENFORCE), one) == ("enforced", expected)
    frame = Tables(snapshot([WEB, LAB, hook("kyverno"), kyverno(ENFORCE), one])).enforcement
    shown = frame[(frame.engine == "kyverno") & (frame.name == "lab")].exceptions.iloc[0]
    assert list(shown) == ([] if "other" not in spec and "policyName: q" in spec else ["ci/e"])


def test_policies_of_kyverno_that_are_written_like_those_of_kubernetes() -> None:
    spec = {"matchConstraints": {"resourceRules": PODS, "namespaceSelector": {"matchLabels": {"env": "prod"}}}}
    policy = {
        "apiVersion": "policies.kyverno.io/v1",
        "kind": "ValidatingPolicy",
        "metadata": {"name": "p"},
        "spec": spec,
    }
    assert states("kyverno", hook("kyverno"), policy) == ("enforced", "nothing")
    own = {**policy, "kind": "NamespacedValidatingPolicy", "metadata": {"name": "p", "namespace": "lab"}}
    own["spec"] = {"matchConstraints": {"resourceRules": PODS}, "validationActions": ["Audit"]}
    assert states("kyverno", hook("kyverno"), policy, own) == ("enforced", "audited")


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ("[*/*,lab,*]", ("enforced", "audited")),
        ("[*,l?b,*][Event,*,*]", ("enforced", "audited")),
        ("[Pod,lab,*]", ("enforced", "audited")),
        ("[v1/Pod,lab,*]", ("enforced", "audited")),
        ("[Pod,*,*]", ("audited", "audited")),
        ("[Pod,lab,debug-*]", ("enforced", None)),
        ("[Pod/exec,lab,*][Service,lab,*][*]", ("enforced", "enforced")),
        # A pod that is to be given its name has none yet.
        ("[*,lab]", ("enforced", None)),
        ("[Event,*,*][ReplicaSet,*,*][Node,*,*][*/*,kube-system,*]", ("enforced", "enforced")),
        ("", ("enforced", "enforced")),
    ],
)
def test_what_kyverno_filters_out_it_does_not_refuse(filters: str, expected: tuple[str | None, str | None]) -> None:
    own = config_map("kyverno", resourceFilters=filters)
    assert states("kyverno", hook("kyverno"), kyverno(ENFORCE), own) == expected
    elsewhere = config_map("kyverno-old", resourceFilters=filters)
    assert states("kyverno", hook("kyverno"), kyverno(ENFORCE), elsewhere) == ("enforced", "enforced")


@pytest.mark.parametrize(
    ("kinds", "filters", "expected"),
    [
        ("[Pod, Service]", "[Pod,lab,*]", None),
        ("[Pod, Service]", "[Pod,lab,*][Service,*,*]", "audited"),
        ("['*']", "[Pod,lab,*]", None),
        ("['*']", "[Event,*,*][Binding,*,*][Node,*,*]", "enforced"),
    ],
)
def test_a_part_that_kyverno_filters_out_leaves_its_policy_open(kinds: str, filters: str, expected: str | None) -> None:
    policy = kyverno({**ENFORCE, "match": {"any": [{"resources": {"kinds": manifest(kinds)}}]}})
    own = config_map("kyverno", resourceFilters=filters)
    assert states("kyverno", hook("kyverno"), policy, own)[1] == expected


@pytest.mark.parametrize(
    ("groups", "expected"),
    [("system:nodes, oidc:admins", "enforced"), ("system:nodes,system:authenticated", None), ("", "enforced")],
)
def test_whom_kyverno_leaves_out_is_said(groups: str, expected: str | None) -> None:
    own = config_map("kyverno", excludeGroups=groups)
    assert states("kyverno", hook("kyverno"), kyverno(ENFORCE), own) == (expected, expected)
    frame = Tables(snapshot([WEB, hook("kyverno"), kyverno(ENFORCE), own])).enforcement
    shown = frame[frame.engine == "kyverno"].exceptions.iloc[0]
    named = ", ".join(part.strip() for part in groups.split(","))
    assert list(shown) == ([f"ConfigMap kyverno: excludeGroups {named}"] if groups else [])


def config_map(namespace: str, **data: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "kyverno", "namespace": namespace},
        "data": data,
    }


# Gatekeeper


def constraint(match: str = "", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "constraints.gatekeeper.sh/v1beta1",
        "kind": "K8sAny",
        "metadata": {"name": "c"},
        "spec": {"match": manifest(f"{{{match}}}"), **spec},
    }


ON_POD = 'kinds: [{apiGroups: [""], kinds: [Pod]}]'


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (constraint(ON_POD), ("enforced", "enforced")),
        (constraint(), ("enforced", "enforced")),
        (constraint(ON_POD, enforcementAction="dryrun"), ("audited", "audited")),
        (constraint(ON_POD, enforcementAction="shout"), (None, None)),
        (constraint(f"{ON_POD}, namespaces: ['w*']"), ("enforced", "nothing")),
        (constraint(f"{ON_POD}, excludedNamespaces: [lab]"), ("enforced", "exempt")),
        (constraint(f"{ON_POD}, namespaceSelector: {{matchLabels: {{env: prod}}}}"), ("enforced", "nothing")),
        (constraint(f"{ON_POD}, {LEFT_OUT}"), ("enforced", "exempt")),
        (constraint(f"{ON_POD}, labelSelector: {{matchLabels: {{a: b}}}}"), (None, None)),
        (constraint(f"{ON_POD}, somethingNew: 1"), (None, None)),
        (constraint('kinds: [{apiGroups: ["*"], kinds: [ClusterRole]}]'), ("nothing", "nothing")),
        (constraint(f"{ON_POD}, scope: Cluster"), ("nothing", "nothing")),
        # The webhook is called for pods only: Services are audited.
        (constraint('kinds: [{apiGroups: [""], kinds: [Service]}]'), ("audited", "audited")),
    ],
)
def test_gatekeeper(one: dict[str, Any], expected: tuple[str | None, str | None]) -> None:
    assert states("gatekeeper", hook("gatekeeper-system"), one) == expected


@pytest.mark.parametrize(("process", "expected"), [("webhook", "audited"), ("*", "exempt"), ("sync", "enforced")])
def test_a_config_takes_namespaces_from_gatekeeper(process: str, expected: str) -> None:
    config = manifest(
        "{apiVersion: config.gatekeeper.sh/v1alpha1, kind: Config, metadata: {name: config, namespace: g}, "
        f"spec: {{match: [{{excludedNamespaces: ['la*'], processes: ['{process}']}}]}}}}"
    )
    assert states("gatekeeper", hook("gatekeeper-system"), constraint(ON_POD), config) == ("enforced", expected)


def test_without_its_webhook_an_engine_only_scans() -> None:
    assert states("gatekeeper", constraint(ON_POD)) == ("audited", "audited")
    assert states("kyverno", kyverno(ENFORCE)) == ("audited", "audited")


# Pod Security, and engines whose policies are not read


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ({"enforce": "restricted"}, "enforced"),
        ({"enforce": "privileged"}, "exempt"),
        ({"enforce": "privileged", "audit": "baseline"}, "audited"),
        ({"audit": "baseline"}, None),
        ({}, None),
    ],
)
def test_pod_security(labels: dict[str, str], expected: str | None) -> None:
    named = {f"pod-security.kubernetes.io/{mode}": level for mode, level in labels.items()}
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "one", "labels": named}}
    frame = Tables(snapshot([space])).enforcement
    state = frame[frame.engine == "pod-security"].state.iloc[0]
    assert (None if not isinstance(state, str) else state) == expected


def test_an_engine_whose_policies_are_not_read_is_open_where_it_is_called() -> None:
    one = hook("kubewarden", namespaceSelector={"matchLabels": {"env": "prod"}})
    assert states("kubewarden", one) == (None, "exempt")


def test_what_others_enforce_and_this_namespace_does_not() -> None:
    policy = kyverno({**ENFORCE, "exclude": {"any": [{"resources": {"namespaces": ["lab"]}}]}})
    found = Tables(snapshot([WEB, LAB, hook("kyverno"), policy])).namespace_enforcement.set_index("name")
    assert (list(found.left_out["lab"]), list(found.left_out["web"])) == (["kyverno/p"], [])
