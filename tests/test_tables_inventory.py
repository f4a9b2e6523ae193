"""Inventories of data say what is given to workloads, and what types of Secrets there are."""

import pandas as pd
from builders import snapshot

import auditkit as ak
from auditkit import evaluate
from auditkit.tables.inventory import SecretType

POD = {
    "volumes": [
        {"name": "a", "secret": {"secretName": "tls"}},
        {"name": "b", "persistentVolumeClaim": {"claimName": "data-0"}},
        {"name": "c", "projected": {"sources": [{"configMap": {"name": "ca"}}, {"secret": {"name": "tls"}}]}},
        {"name": "d", "emptyDir": {}},
    ],
    "imagePullSecrets": [{"name": "pull"}],
    "initContainers": [{"name": "i", "image": "i", "envFrom": [{"configMapRef": {"name": "settings"}}]}],
    "containers": [
        {
            "name": "c",
            "image": "i",
            "env": [
                {"name": "P", "valueFrom": {"secretKeyRef": {"name": "db", "key": "p"}}},
                {"name": "Q", "valueFrom": {"secretKeyRef": {"name": "db", "key": "q"}}},
                {"name": "N", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            ],
        }
    ],
}


def test_what_a_workload_is_given_is_listed_once_a_way() -> None:
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": "web", "name": "p"}, "spec": POD}
    given = evaluate.Tables(snapshot([pod]))["given_data"]
    assert set(given["kind"]) == {"Pod"}
    assert list(given[["data_kind", "data", "way"]].itertuples(index=False, name=None)) == [
        ("ConfigMap", "ca", "volume"),
        ("ConfigMap", "settings", "variable"),
        ("PersistentVolumeClaim", "data-0", "volume"),
        ("Secret", "db", "variable"),
        ("Secret", "tls", "volume"),
    ]


def test_types_of_secrets_add_up() -> None:
    tables = ak.demo().tables
    types = tables["secret_types"]
    assert types["secrets"].sum() == len(tables["secrets"])
    one = types[(types["namespace"] == "ci-runners") & (types["type"] == "kubernetes.io/dockerconfigjson")]
    assert one["secrets"].tolist() == [1]
    assert one["oldest"].tolist() == [pd.Timestamp("2026-05-06 11:00:00+00:00")]


def test_secrets_of_a_type_that_is_not_kept_are_counted() -> None:
    held = pd.DataFrame(
        {"namespace": ["a", "a"], "type": [None, None], "name": ["x", "y"], "written": [pd.NaT, pd.NaT]}
    )
    types = SecretType.frame(held.astype({"type": "string"}))
    assert (types["secrets"].tolist(), types["type"].isna().all()) == ([2], True)
