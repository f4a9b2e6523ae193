"""What Kubernetes ships is recognised by content, in every minor whose content is known."""

import tomllib
from typing import Any

import msgspec
import pytest
from conftest import DATES

from auditkit import kinds
from auditkit.analysis.stock import contents, is_stock, shipped_bindings, shipped_roles, stock_rules
from auditkit.kinds.rbac import ClusterRole, Role, Rule
from auditkit.resources import folder

CHANGES = tomllib.loads((folder("data") / "stock-rbac-changes.toml").read_text())
STATES = [(key, minor) for key, (_, states) in shipped_roles().items() for minor in states]
FIELDS = ("apiGroups", "resources", "verbs", "resourceNames", "nonResourceURLs")
MORE = {"apiGroups": ["example.com"], "resources": ["widgets"], "verbs": ["get"]}

# system:kube-scheduler as policy.go has it from 1.28 to 1.30: group, resources, verbs, names.
SCHEDULER = """
,events.k8s.io | events | create,update,patch |
coordination.k8s.io | leases | create |
coordination.k8s.io | leases | get,update | kube-scheduler
| nodes | get,list,watch |
| pods | get,list,watch,delete |
| pods/binding,bindings | create |
| pods/status | patch,update |
| services,replicationcontrollers | get,list,watch |
apps,extensions | replicasets | get,list,watch |
apps | statefulsets | get,list,watch |
policy | poddisruptionbudgets | get,list,watch |
| persistentvolumeclaims,persistentvolumes | get,list,watch |
authentication.k8s.io | tokenreviews | create |
authorization.k8s.io | subjectaccessreviews | create |
storage.k8s.io | csinodes | get,list,watch |
| namespaces | get,list,watch |
storage.k8s.io | csidrivers | get,list,watch |
storage.k8s.io | csistoragecapacities | get,list,watch |
"""


def role_of(key: str, rules: list[dict[str, Any]], *, aggregated: bool = True) -> Role | ClusterRole:
    kind, *namespace, name = key.split("/")
    found = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": kind,
        "metadata": {"name": name} | ({"namespace": namespace[0]} if namespace else {}),
        "rules": rules,
    }
    if aggregated and shipped_roles()[key][0]:
        found["aggregationRule"] = msgspec.json.decode(shipped_roles()[key][0])
    return kinds.of(found)


def rules_of(key: str, minor: str) -> list[dict[str, Any]]:
    return [dict(zip(FIELDS, map(list, rule), strict=True)) for rule in sorted(shipped_roles()[key][1][minor])]


def judged(role: Role | ClusterRole) -> list[bool]:
    return stock_rules(role, role.rules or ())


def named(key: str) -> list[list[dict[str, Any]]]:
    return [rules_of(key, minor) for minor in shipped_roles()[key][1]]


def table_of(text: str) -> list[dict[str, Any]]:
    lines = [[part.strip().split(",") for part in line.split("|")] for line in text.strip().splitlines()]
    return [dict(zip(FIELDS, [*line[:3], [n for n in line[3] if n]], strict=False)) for line in lines]


def test_each_change_undoes_what_is_there():
    """A change that names a rule wrongly would give a state that no minor shipped."""
    minors = [tuple(map(int, change["minor"].split("."))) for change in CHANGES["change"]]
    assert minors == sorted(minors, reverse=True)
    state = {key: states[""] for key, (_, states) in shipped_roles().items()}
    for change in CHANGES["change"]:
        now, was = (contents(msgspec.convert(change[name], list[Rule])) for name in ("now", "was"))
        assert change["source"]
        for key in change["roles"]:
            assert now <= state[key], change
            assert not was & state[key], change
            state[key] = state[key] - now | was
    assert state == {key: list(states.values())[-1] for key, (_, states) in shipped_roles().items()}


@pytest.mark.parametrize(("key", "minor"), STATES)
def test_each_state_is_stock_and_with_one_more_verb_is_not(key, minor):
    rules = rules_of(key, minor)
    assert is_stock(role_of(key, rules))
    assert is_stock(role_of(key, rules[::-1]))
    assert judged(role_of(key, rules)) == [True] * len(rules)
    changed = [rules[0] | {"verbs": [*rules[0]["verbs"], "escalate-too"]}, *rules[1:]]
    assert not is_stock(role_of(key, changed))
    assert judged(role_of(key, changed)) == [False] * len(rules)
    extended = role_of(key, [*rules, MORE])
    assert not is_stock(extended)
    assert judged(extended) == [bool(shipped_roles()[key][0])] * len(rules) + [False]


def test_aggregation_is_part_of_the_content():
    for name in ("admin", "edit", "view"):
        for rules in named(f"ClusterRole/{name}"):
            plain = role_of(f"ClusterRole/{name}", rules, aggregated=False)
            assert not is_stock(plain)
            assert not any(judged(plain))


def test_states_are_not_mixed():
    """Rules of two minors in one role were shipped by none."""
    newest, *_, oldest = named("ClusterRole/system:node")
    assert not is_stock(role_of("ClusterRole/system:node", [*oldest, *(r for r in newest if r not in oldest)][:-1]))
    newest, *_, oldest = named("ClusterRole/system:controller:namespace-controller")
    both = [*newest, *(rule for rule in oldest if rule not in newest)]
    assert not is_stock(role_of("ClusterRole/system:controller:namespace-controller", both))


def test_an_aggregated_role_of_an_earlier_minor_keeps_its_rules():
    """The larger state counts: what 1.34 added to view is not its owner's, a rule of a component's is."""
    before = {minor: rules_of("ClusterRole/view", minor) for minor in ("1.35", "1.34")}
    claims = [rule for rule in before["1.35"] if rule not in before["1.34"]]
    assert [rule["apiGroups"] for rule in claims] == [["resource.k8s.io"]]
    role = role_of("ClusterRole/view", [*before["1.34"], *claims, MORE])
    assert judged(role) == [True] * len(before["1.35"]) + [False]


def test_facts_of_earlier_minors():
    assert is_stock(role_of("ClusterRole/system:kube-scheduler", table_of(SCHEDULER)))
    paths = [f"/{one}{rest}" for one in ("livez", "readyz", "healthz") for rest in ("", "/*")]
    get = {"verbs": ["get"], "nonResourceURLs": ["/metrics", "/metrics/slis", *paths]}
    metrics = {"verbs": ["get"], "apiGroups": [""], "resources": ["nodes/metrics"]}
    assert is_stock(role_of("ClusterRole/system:monitoring", [get]))
    assert is_stock(role_of("ClusterRole/system:monitoring", [get, metrics]))
    assert not is_stock(role_of("ClusterRole/system:monitoring", [get, metrics | {"verbs": ["get", "list"]}]))
    lock = table_of("| configmaps | watch |\n| configmaps | get,update | kube-scheduler")
    assert is_stock(role_of("Role/kube-system/system::leader-locking-kube-scheduler", lock))
    assert not is_stock(role_of("Role/kube-system/system::leader-locking-kube-controller-manager", lock))


def test_bindings_of_earlier_minors():
    accounts = ("kube-controller-manager", "leader-election-controller", "default")
    user = {"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": "system:kube-controller-manager"}
    subjects = [user, *({"kind": "ServiceAccount", "namespace": "kube-system", "name": name} for name in accounts)]
    name = "system::leader-locking-kube-controller-manager"
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"namespace": "kube-system", "name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
    }
    stock = [is_stock(kinds.of(binding | {"subjects": subjects[:count]})) for count in range(5)]
    assert stock == [False, False, True, True, False]
    assert {change["binding"] for change in CHANGES["binding"]} <= shipped_bindings().keys()


@pytest.mark.parametrize("date", DATES)
def test_the_recorded_cluster_has_what_1_36_ships(recordings, date):
    """All but the three roles that the recorded cluster aggregated rules into."""
    found = []
    for kind in (Role, ClusterRole):
        path = recordings / "northwind-prod" / date / f"{kind.plural}.{kind.group}.json"
        found += kinds.decode_page(kind, path.read_bytes())[1]
    stock = {"/".join(filter(None, (r.kind, r.namespace, r.name))) for r in found if is_stock(r)}
    changed = shipped_roles().keys() - stock
    assert changed <= {f"ClusterRole/{name}" for name in ("admin", "edit", "view")}
    assert not {key for key in stock if key not in shipped_roles()}
