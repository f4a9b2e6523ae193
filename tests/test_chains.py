"""Chains of rights: unions of what a subject holds, never less certain than the ways of escalation, over random clusters."""

from builders import snapshot
from hypothesis import given, settings
from hypothesis import strategies as st
from test_escalation import ANN, WORLD, bind, role, rule

from auditkit.analysis.access import Access
from auditkit.analysis.chains import CHAINS, chains
from auditkit.analysis.escalation import paths, reached

RULES = st.builds(
    rule,
    st.sampled_from(["create", "get", "patch", "create get", "patch get", "delete", "*"]),
    st.sampled_from(
        ["pods", "secrets", "pods/exec", "nodes", "pods/ephemeralcontainers", "pods/eviction", "configmaps"]
    ),
    st.just(""),
    st.sampled_from([(), ("boss",), ("boss-token",), ("n1",)]),
)
PARTS = st.lists(st.tuples(RULES, st.sampled_from(["", "web", "db"])), min_size=1, max_size=4)


def access(parts, merged=False):
    """The world in which ann holds each rule by a binding of its own, or `merged` those of one scope by one role."""
    grants = []
    for number, (part, scope) in enumerate(parts):
        same = [rule for rule, where in parts if where == scope] if merged else [part]
        grants += [role(f"r{number}", *same), bind(f"r{number}", ANN, namespace=scope, name=f"b{number}")]
    return Access.from_objects(snapshot([*WORLD, *grants]).objects)


def of_ann(found):
    table = chains(reached(found))
    return table[table["name"] == "ann"].iloc[0]


@settings(max_examples=60, deadline=None)
@given(PARTS)
def test_rights_count_alike_by_one_role_or_several(parts):
    apart, together = of_ann(access(parts)), of_ann(access(parts, merged=True))
    assert [apart[name] for name in CHAINS] == [together[name] for name in CHAINS]


@settings(max_examples=60, deadline=None)
@given(PARTS, RULES)
def test_more_rights_break_no_chain(parts, more):
    less, all_ = of_ann(access(parts)), of_ann(access([*parts, (more, "")]))
    order = {False: 0, None: 1, True: 2}
    assert all(order[less[name]] <= order[all_[name]] for name in CHAINS)


@settings(max_examples=60, deadline=None)
@given(PARTS)
def test_a_certain_chain_into_a_pod_leads_to_cluster_admin(parts):
    found = access(parts)
    if True in of_ann(found)[["assigns_accounts", "enters_applications"]].tolist():
        table = paths(found).table
        assert table.loc[table["name"] == "ann", "condition"].isna().all()
        assert "ann" in set(table["name"])


def test_administrators_are_no_row():
    table = chains(reached(access([(rule("*", "*", "*"), "")])))
    assert "ann" not in set(table["name"])


def test_evidence_names_rights_bindings_and_whom_they_lead_to():
    row = of_ann(
        access([(rule("create", "pods/exec"), "web"), (rule("patch", "nodes"), ""), (rule("delete", "pods"), "web")])
    )
    assert row["evidence"] == [
        "execs into a pod of ServiceAccount web/boss: create pods/exec: RoleBinding web/b0, ClusterRole r0",
        "moves a pod of ServiceAccount web/boss: delete or deletecollection pods: RoleBinding web/b2, ClusterRole r2; "
        "update or patch nodes: ClusterRoleBinding b1, ClusterRole r1",
        "moves a pod of ServiceAccount web/boss: update or patch nodes: ClusterRoleBinding b1, ClusterRole r1, "
        "if it does not tolerate a taint of the subject's",
    ]
