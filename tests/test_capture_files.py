"""The door for files: layouts as users have them, coverage, and one clear error each."""

import gzip
import io
import json
import shutil
import tarfile
import zipfile
from datetime import datetime
from pathlib import Path

import pytest

from auditkit import kinds
from auditkit.capture import files
from auditkit.capture.snapshot import Options, Snapshot, load, save
from auditkit.errors import UsageError
from auditkit.kinds import Kind
from auditkit.kinds.certificates import Secret
from auditkit.kinds.network import Ingress
from auditkit.kinds.policies import Constraint
from auditkit.kinds.rbac import ClusterRole
from auditkit.kinds.workloads import Deployment, Pod
from auditkit.resources import folder

EVERYTHING = Options(secrets=True, tls_secrets=True, secret_facts=True)


@pytest.fixture(scope="module")
def october(recordings: Path) -> Snapshot:
    return files.capture(recordings / "northwind-prod" / "2026-10-31", options=EVERYTHING)


def test_a_recording_is_read_whole(october: Snapshot) -> None:
    assert october.incomplete == ()
    assert october.origin.cluster == "northwind-prod"
    assert october.origin.version == "v1.36.2"
    assert october.origin.identity.username == "kubernetes-admin"
    assert f"{october.origin.taken_at:%Y-%m-%dT%H:%M:%SZ}" == "2026-10-31T06:00:00Z"
    assert len(october.objects[Pod]) == 114
    assert october.state(Pod).state == "collected"


def test_the_demo_is_that_recording_as_it_is_kept_today(october: Snapshot) -> None:
    demo = load(folder("data") / "demo")
    assert demo.digest == october.digest, "take it again: auditkit capture, with all options for Secrets"
    assert demo.coverage == october.coverage


def test_a_broken_apiservice_is_coverage(recordings: Path) -> None:
    september = files.capture(recordings / "northwind-prod" / "2026-09-30")
    assert [(c.resource, c.state) for c in september.incomplete] == [("*.custom.metrics.k8s.io", "failed")]


def test_secrets_are_kept_only_when_asked(recordings: Path, october: Snapshot) -> None:
    plain = files.capture(recordings / "northwind-prod" / "2026-10-31")
    assert plain.objects[Secret] == ()
    assert plain.state(Secret).state == "excluded"
    assert plain.incomplete == ()
    assert len(october.objects[Secret]) > 10


def test_no_canary_is_kept(october: Snapshot, recordings: Path, tmp_path: Path) -> None:
    import msgspec

    kept = b"\n".join(msgspec.json.encode(o) for kind in october.objects for o in october.objects[kind])
    lines = (recordings / "canaries.txt").read_text().splitlines()
    canaries = [line.partition("\t")[0] for line in lines if not line.startswith("#")]
    assert len(canaries) == 24
    assert [c for c in canaries if c.encode() in kept] == []
    assert b"PRIVATE KEY" not in kept


def test_a_snapshot_of_which_other_fields_were_kept_is_partial(october: Snapshot, tmp_path: Path) -> None:
    save(october, tmp_path / "s")
    fields = json.loads((tmp_path / "s" / "fields.json").read_text())
    (tmp_path / "s" / "fields.json").write_text(json.dumps({**fields, "pods": "0" * 16}))
    found = load(tmp_path / "s")
    assert [c.resource for c in found.coverage if c.state == "partial"] == ["pods"]
    assert "capture again" in found.state(Pod).note


def test_a_saved_snapshot_is_the_same(october: Snapshot, tmp_path: Path) -> None:
    save(october, tmp_path / "a")
    again = load(tmp_path / "a")
    assert again.digest == october.digest
    assert again.coverage == october.coverage
    save(again, tmp_path / "b")
    first, second = ({p.name: p.read_bytes() for p in (tmp_path / n).rglob("*") if p.is_file()} for n in "ab")
    assert first == second


@pytest.fixture
def saved(october: Snapshot, tmp_path: Path) -> Path:
    save(october, tmp_path / "saved")
    return tmp_path / "saved"


@pytest.mark.parametrize("resource", ["clusterrolebindings.rbac.authorization.k8s.io", "pods"])
def test_a_snapshot_that_lost_a_kind_is_refused(saved: Path, resource: str) -> None:
    (saved / "objects" / f"{resource}.jsonl.zst").unlink()
    with pytest.raises(UsageError, match=rf"saved: 0 {resource} where \d+ were saved"):
        load(saved)


def test_a_snapshot_with_other_objects_is_refused(saved: Path, october: Snapshot, tmp_path: Path) -> None:
    import msgspec

    renamed = msgspec.convert(msgspec.to_builtins(october.objects[Pod][0]), Pod)
    renamed.metadata.name = "another"
    objects = {kind: october.objects[kind] for kind in october.objects} | {Pod: (renamed, *october.objects[Pod][1:])}
    save(Snapshot(origin=october.origin, coverage=october.coverage, objects=objects), tmp_path / "other")
    shutil.copytree(tmp_path / "other" / "objects", saved / "objects", dirs_exist_ok=True)
    with pytest.raises(UsageError, match="the objects are not those that were saved"):
        load(saved)


def test_a_snapshot_without_its_digest_is_refused(saved: Path) -> None:
    (saved / "digest").unlink()
    with pytest.raises(UsageError, match="digest is missing"):
        load(saved)


def test_a_snapshot_cut_short_is_refused(saved: Path) -> None:
    path = saved / "objects" / "pods.jsonl.zst"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(UsageError, match=r"pods\.jsonl\.zst: damaged"):
        load(saved)


def archived(folder: Path, target: Path) -> Path:
    if target.suffix == ".zip":
        with zipfile.ZipFile(target, "w") as archive:
            for path in sorted(folder.iterdir()):
                archive.write(path, f"dump/{path.name}")
    else:
        with tarfile.open(target, "w:gz") as archive:
            archive.add(folder, "dump")
    return target


@pytest.mark.parametrize("name", ["dump.zip", "dump.tar.gz"])
def test_an_archive_gives_the_same_digest(october: Snapshot, recordings: Path, tmp_path: Path, name: str) -> None:
    archive = archived(recordings / "northwind-prod" / "2026-10-31", tmp_path / name)
    assert files.capture(archive, options=EVERYTHING).digest == october.digest


DEPLOYMENT = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "shop", "namespace": "web", "creationTimestamp": None},
    "spec": {"template": {"spec": {"containers": [{"name": "app", "image": "shop:1"}]}}},
}


def test_manifests_are_as_supplied(tmp_path: Path) -> None:
    import yaml

    (tmp_path / "app.yaml").write_text("# comment only\n---\n" + yaml.safe_dump(DEPLOYMENT) + "---\n")
    snapshot = files.capture(tmp_path)
    assert snapshot.origin.basis == "as supplied"
    assert snapshot.origin.taken_at is None
    assert [d.name for d in snapshot.objects[Deployment]] == ["shop"]
    assert snapshot.state(ClusterRole).state == "failed"


def test_kubectl_lists_of_one_or_many_kinds(tmp_path: Path) -> None:
    mixed = {"apiVersion": "v1", "kind": "List", "items": [DEPLOYMENT]}
    (tmp_path / "all.json").write_text(json.dumps(mixed))
    (tmp_path / "pods.json").write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": []}))
    snapshot = files.capture(tmp_path)
    assert snapshot.origin.basis == "listed"
    assert snapshot.state(Deployment).kept == 1
    assert (snapshot.state(Pod).state, snapshot.state(Pod).kept) == ("collected", 0)
    assert snapshot.state(Pod).note == "pods.json is an empty List: its name says the kind"


def test_a_malformed_object_makes_its_kind_partial(tmp_path: Path) -> None:
    broken = {**DEPLOYMENT, "metadata": {"name": "odd", "namespace": "web"}, "spec": {"template": 7}}
    items = {"apiVersion": "apps/v1", "kind": "DeploymentList", "items": [DEPLOYMENT, broken]}
    (tmp_path / "deployments.json").write_text(json.dumps(items))
    coverage = files.capture(tmp_path).state(Deployment)
    assert (coverage.state, coverage.seen, coverage.kept) == ("partial", 2, 1)
    assert coverage.malformed[0].name == "odd"


def written(place: Path, name: str, document: object) -> Path:
    (place / name).write_text(document if isinstance(document, str) else json.dumps(document))
    return place


NO_KIND = {key: value for key, value in DEPLOYMENT.items() if key != "kind"}


@pytest.mark.parametrize("item", [None, 7, NO_KIND, {**DEPLOYMENT, "apiVersion": ""}])
def test_an_item_of_no_kind_is_refused(tmp_path: Path, item: object) -> None:
    listed = {"apiVersion": "v1", "kind": "List", "items": [DEPLOYMENT, item]}
    with pytest.raises(UsageError, match=r"deployments\.json: item 2 of the List has no kind or no apiVersion"):
        files.capture(written(tmp_path, "deployments.json", listed))


@pytest.mark.parametrize("name", ["deployments.json", "deployments.yaml"])
def test_an_item_that_is_null_makes_its_kind_partial(tmp_path: Path, name: str) -> None:
    listed = {"apiVersion": "apps/v1", "kind": "DeploymentList", "items": [DEPLOYMENT, None]}
    coverage = files.capture(written(tmp_path, name, listed)).state(Deployment)
    assert (coverage.state, coverage.seen, coverage.kept) == ("partial", 2, 1)


@pytest.mark.parametrize(
    ("api_version", "kind", "name"),
    [
        ("meta.k8s.io/v1", "PartialObjectMetadataList", "partialobjectmetadatas.meta.k8s.io"),
        ("metrics.k8s.io/v1beta1", "NodeMetricsList", "nodemetricses.metrics.k8s.io"),
    ],
)
def test_a_file_is_not_what_its_name_says(tmp_path: Path, api_version: str, kind: str, name: str) -> None:
    listed = {"apiVersion": api_version, "kind": kind, "items": [{"metadata": {"name": "a"}}]}
    snapshot = files.capture(written(tmp_path, "pods.json", listed))
    assert snapshot.state(Pod).state == "failed"
    assert [(c.resource, c.seen) for c in snapshot.coverage if c.state == "not read"] == [(name, 1)]


def test_a_list_of_one_kind_says_nothing_of_the_kind_in_its_name(tmp_path: Path) -> None:
    listed = {"apiVersion": "v1", "kind": "List", "items": [DEPLOYMENT]}
    snapshot = files.capture(written(tmp_path, "pods.json", listed))
    assert snapshot.state(Pod).state == "failed"
    assert snapshot.state(Deployment).state == "collected"


def crd(group: str, plural: str) -> dict[str, object]:
    spec = {"group": group, "names": {"plural": plural, "kind": "X"}, "scope": "Namespaced", "versions": []}
    meta = {"name": f"{plural}.{group}"}
    return {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": meta, "spec": spec}


def crds(*items: object, **meta: str) -> dict[str, object]:
    listed = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinitionList"}
    return {**listed, "metadata": meta, "items": items}


VELERO = crd("velero.io", "backups")


@pytest.mark.parametrize(
    ("document", "state"),
    [
        (crds(VELERO), "not served"),
        (VELERO, "failed"),
        (crds(VELERO, {**VELERO, "spec": 7}), "failed"),
        (crds(VELERO, {**crd("cert-manager.io", "certificates"), "spec": {}}), "failed"),
        (crds(VELERO, **{"continue": "x"}), "failed"),
    ],
)
def test_only_a_whole_list_of_crds_says_what_is_not_served(tmp_path: Path, document: object, state: str) -> None:
    snapshot = files.capture(written(tmp_path, "crds.json", document))
    assert snapshot.state(kinds.BY_RESOURCE["certificates.cert-manager.io"]).state == state
    assert snapshot.state(kinds.BY_RESOURCE["backups.velero.io"]).state == "failed"


def constraint(kind: str, name: str) -> dict[str, object]:
    return {"apiVersion": "constraints.gatekeeper.sh/v1beta1", "kind": kind, "metadata": {"name": name}, "spec": {}}


NAMESPACE = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a"}}
LABELS, REPOS = (crd("constraints.gatekeeper.sh", name) for name in ("k8srequiredlabels", "k8sallowedrepos"))
LISTED = [constraint("K8sRequiredLabels", "a"), constraint("K8sAllowedRepos", "a")]


@pytest.mark.parametrize(
    ("served", "items", "state", "says"),
    [
        ((LABELS, REPOS), LISTED, "collected", ""),
        ((LABELS, REPOS), LISTED[:1], "partial", "no list of k8sallowedrepos.constraints.gatekeeper.sh in the files"),
        ((LABELS, REPOS), [], "failed", "no list of it in the files"),
        ((VELERO,), [], "not served", ""),
        ((), LISTED, "partial", "which resources the group has is not in the files"),
    ],
)
def test_constraints_are_whole_where_every_kind_was_listed(
    tmp_path: Path, served: tuple[object, ...], items: list[object], state: str, says: str
) -> None:
    """Two constraints of different kinds may have one name."""
    if served:
        written(tmp_path, "crds.json", crds(*served))
    everything = {"apiVersion": "v1", "kind": "List", "items": [*items, NAMESPACE]}
    found = files.capture(written(tmp_path, "list.json", everything))
    assert (found.state(Constraint).state, found.state(Constraint).kept) == (state, len(items))
    assert says in found.state(Constraint).note
    if items:
        save(found, tmp_path / "saved")
        assert load(tmp_path / "saved").digest == found.digest


def test_an_empty_list_of_constraints_is_known_by_the_name_of_its_file(tmp_path: Path) -> None:
    written(tmp_path, "crds.json", crds(REPOS))
    name = "k8sallowedrepos.constraints.gatekeeper.sh.json"
    found = files.capture(written(tmp_path, name, {"apiVersion": "v1", "kind": "List", "items": []}))
    assert (found.state(Constraint).state, found.state(Constraint).kept) == ("collected", 0)


@pytest.mark.parametrize(
    ("resource", "state"),
    [
        ("adminnetworkpolicies.policy.networking.k8s.io", "not served"),
        ("volumesnapshots.snapshot.storage.k8s.io", "not served"),
        ("gateways.gateway.networking.k8s.io", "not served"),
        ("storageclasses.storage.k8s.io", "failed"),
        ("ingresses.networking.k8s.io", "failed"),
    ],
)
def test_a_group_of_k8s_io_may_be_that_of_a_crd(tmp_path: Path, resource: str, state: str) -> None:
    snapshot = files.capture(written(tmp_path, "crds.json", crds(VELERO)))
    assert snapshot.state(kinds.BY_RESOURCE[resource]).state == state


@pytest.mark.parametrize(
    ("name", "kind"), [("discovery-aggregated-apis.json", Pod), ("discovery-aggregated-api.json", ClusterRole)]
)
def test_half_of_discovery_says_nothing_of_the_other(
    recordings: Path, tmp_path: Path, name: str, kind: type[Kind]
) -> None:
    october = recordings / "northwind-prod" / "2026-10-31"
    for file in (name, "nodes.core.json"):
        shutil.copy(october / file, tmp_path)
    assert files.capture(tmp_path).state(kind).state == "failed"


@pytest.mark.parametrize("name", ["deployments.json", "deployments.yaml"])
@pytest.mark.parametrize("kind", ["List", "DeploymentList"])
def test_what_a_list_says_of_itself_is_read(tmp_path: Path, name: str, kind: str) -> None:
    meta = {"resourceVersion": "7", "continue": "x"}
    document = {"apiVersion": "apps/v1", "kind": kind, "metadata": meta, "items": [DEPLOYMENT]}
    coverage = files.capture(written(tmp_path, name, document)).state(Deployment)
    assert (coverage.state, coverage.resource_version) == ("partial", "7")
    assert coverage.note == f"{name} is one page of a longer list: `continue` is set"


INGRESS = {"kind": "Ingress", "metadata": {"name": "shop", "namespace": "web"}, "spec": {"tls": [{"hosts": ["a"]}]}}


@pytest.mark.parametrize("name", ["ingresses.json", "ingresses.yaml"])
@pytest.mark.parametrize("kind", ["Ingress", "List", "IngressList"])
def test_a_version_that_is_not_read_makes_its_kind_partial(tmp_path: Path, name: str, kind: str) -> None:
    old = {"apiVersion": "networking.k8s.io/v1beta1", **INGRESS}
    document = old if kind == "Ingress" else {"apiVersion": old["apiVersion"], "kind": kind, "items": [old]}
    coverage = files.capture(written(tmp_path, name, document)).state(Ingress)
    assert (coverage.state, coverage.seen, coverage.kept) == ("partial", 1, 0)
    assert coverage.note == "web/shop: served as v1beta1; this version of auditkit reads v1"


def test_a_manifest_without_a_namespace_is_in_default(tmp_path: Path) -> None:
    unplaced = {**DEPLOYMENT, "metadata": {"name": "shop"}}
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "a"}, "rules": []}
    written(tmp_path, "a.yaml", unplaced)
    written(tmp_path, "b.yaml", role)
    snapshot = files.capture(tmp_path)
    assert [d.namespace for d in snapshot.objects[Deployment]] == ["default"]
    assert [r.namespace for r in snapshot.objects[ClusterRole]] == [""]
    assert snapshot.state(Deployment).note == "without a namespace, taken to be in default: 1"
    assert snapshot.state(ClusterRole).note == ""


def test_an_object_in_two_lists_is_kept_once(tmp_path: Path) -> None:
    written(tmp_path, "all.json", {"apiVersion": "v1", "kind": "List", "items": [DEPLOYMENT]})
    written(tmp_path, "deployments.json", {"apiVersion": "apps/v1", "kind": "DeploymentList", "items": [DEPLOYMENT]})
    coverage = files.capture(tmp_path).state(Deployment)
    assert (coverage.state, coverage.seen, coverage.kept) == ("collected", 2, 1)
    assert coverage.request == "all.json, deployments.json"


def test_a_list_in_a_list_is_read(tmp_path: Path) -> None:
    inner = {"apiVersion": "apps/v1", "kind": "DeploymentList", "metadata": {"continue": "x"}, "items": [DEPLOYMENT]}
    snapshot = files.capture(written(tmp_path, "all.json", {"apiVersion": "v1", "kind": "List", "items": [inner]}))
    assert (snapshot.state(Deployment).state, snapshot.state(Deployment).kept) == ("partial", 1)


def test_two_objects_of_one_name_are_refused(tmp_path: Path) -> None:
    written(tmp_path, "a.json", DEPLOYMENT)
    written(tmp_path, "b.json", {**DEPLOYMENT, "spec": {"replicas": 9}})
    with pytest.raises(UsageError, match=r"Deployment web/shop is in a\.json and in b\.json, and they differ"):
        files.capture(tmp_path)


@pytest.mark.parametrize("kind", ["List", "DeploymentList"])
def test_a_list_without_items_is_refused(tmp_path: Path, kind: str) -> None:
    with pytest.raises(UsageError, match="without items"):
        files.capture(written(tmp_path, "deployments.json", {"apiVersion": "apps/v1", "kind": kind}))


def hostile(kind: str, place: Path) -> Path:
    target = place / ("x.zip" if kind == "zip-path" else "x.tar.gz")
    if kind == "zip-path":
        with zipfile.ZipFile(target, "w") as archive:
            archive.writestr("../../evil.json", "{}")
        return target
    with tarfile.open(target, "w:gz") as archive:
        member = tarfile.TarInfo("/etc/evil.json" if kind == "tar-path" else "link.json")
        if kind == "tar-link":
            member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(member, io.BytesIO(b""))
    return target


@pytest.mark.parametrize(
    ("kind", "says"), [("zip-path", "leads out"), ("tar-path", "leads out"), ("tar-link", "is a link")]
)
def test_a_hostile_archive_is_refused(tmp_path: Path, kind: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        files.capture(hostile(kind, tmp_path))


def test_a_bomb_is_refused_before_it_unfolds(tmp_path: Path) -> None:
    target = tmp_path / "bomb.tar"
    with target.open("wb") as file:
        member = tarfile.TarInfo("pods.json")
        member.size = 5 << 30
        file.write(member.tobuf())
    with pytest.raises(UsageError, match="more than 4 GiB"):
        files.capture(target)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("pods.json", b'{"kind": "PodList", ', r"pods\.json: not valid JSON"),
        ("app.yaml", b"a: [1,", r"app\.yaml: not valid YAML"),
        ("deep.yaml", b"[" * 100_000, r"deep\.yaml: nested too deeply"),
        ("digits.yaml", b"a: " + b"9" * 5_000, r"digits\.yaml: not valid YAML: Exceeds the limit"),
        ("tag.yaml", b"a: !!timestamp 9999-99-99", r"tag\.yaml: not valid YAML: month must be"),
        ("notes.txt", b"nothing", "no Kubernetes objects found"),
        ("values.yaml", b"replicas: 2\n", "no Kubernetes objects found"),
        ("version.json", b"[]", r"version\.json: not as Kubernetes writes it: Expected `object`"),
        ("version.json", b'{"gitVersion": 7}', "not as Kubernetes writes it"),
        (
            "discovery-aggregated-api.json",
            b'{"kind": "APIGroupDiscoveryList", "apiVersion": "x", "items": [{"versions": 1}]}',
            "not as",
        ),
        (
            "pods.json",
            b'{"kind": "PodList", "apiVersion": "v1", "items": ' + b"[" * 20_000 + b"]" * 20_000 + b"}",
            "nested too deeply",
        ),
        ("pods.json", b'{"kind": "PodList", "apiVersion": "v1", "metadata": 7, "items": []}', "not as Kubernetes"),
        ("pods.yaml", b"{kind: PodList, apiVersion: v1, metadata: 7, items: []}", "not as Kubernetes"),
        ("pods.yaml", b"{kind: PodList, apiVersion: v1, items: 7}", "not as Kubernetes"),
    ],
)
def test_bad_files_are_named(tmp_path: Path, name: str, content: bytes, says: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UsageError, match=says):
        files.capture(tmp_path)


def test_answers_with_nulls_are_read(tmp_path: Path) -> None:
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview", "status": None}
    group = {"metadata": None, "versions": [{"version": "v1", "resources": [{"resource": "pods"}]}]}
    discovery = {"apiVersion": "apidiscovery.k8s.io/v2", "kind": "APIGroupDiscoveryList", "items": [group]}
    written(tmp_path, "selfsubjectreview.json", review)
    written(tmp_path, "discovery-aggregated-api.json", discovery)
    written(
        tmp_path,
        "version.json",
        {"clientVersion": {"gitVersion": "v1.1.1"}, "serverVersion": {"gitVersion": "v1.36.2"}},
    )
    written(tmp_path, "deployments.json", {"apiVersion": "apps/v1", "kind": "DeploymentList", "items": [DEPLOYMENT]})
    snapshot = files.capture(tmp_path)
    assert snapshot.origin.identity.username == ""
    assert snapshot.origin.version == "v1.36.2"
    assert snapshot.origin.basis == "listed"
    assert (snapshot.state(Pod).state, snapshot.state(kinds.BY_RESOURCE["services"]).state) == ("failed", "not served")


def test_a_manifest_named_like_discovery_is_read(tmp_path: Path) -> None:
    snapshot = files.capture(written(tmp_path, "discovery-service.json", DEPLOYMENT))
    assert [d.name for d in snapshot.objects[Deployment]] == ["shop"]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le"])
@pytest.mark.parametrize("name", ["a.json", "a.yaml"])
def test_text_of_other_encodings_is_read(tmp_path: Path, name: str, encoding: str) -> None:
    (tmp_path / name).write_text(json.dumps(DEPLOYMENT), encoding=encoding)
    assert [d.name for d in files.capture(tmp_path).objects[Deployment]] == ["shop"]


def test_text_that_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b"\xff\xfe{\x00\x00\xd8")
    with pytest.raises(UsageError, match=r"a\.json: not valid JSON: 'utf-16"):
        files.capture(tmp_path)


@pytest.mark.parametrize("alone", [True, False])
@pytest.mark.parametrize("name", ["deployments.json.gz", "DEPLOYMENTS.JSON", "deployments.YAML", "deployments.yml.GZ"])
def test_names_and_compression_as_users_have_them(tmp_path: Path, name: str, alone: bool) -> None:
    raw = json.dumps({"apiVersion": "apps/v1", "kind": "DeploymentList", "items": [DEPLOYMENT]}).encode()
    (tmp_path / name).write_bytes(gzip.compress(raw) if name.casefold().endswith(".gz") else raw)
    snapshot = files.capture(tmp_path / name if alone else tmp_path)
    assert (snapshot.state(Deployment).state, snapshot.state(Deployment).kept) == ("collected", 1)


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:xz", "w:bz2"])
@pytest.mark.parametrize("member", ["a.json", "a.json.gz"])
def test_tars_of_every_compression(tmp_path: Path, mode: str, member: str) -> None:
    raw = json.dumps(DEPLOYMENT).encode()
    raw = gzip.compress(raw) if member.endswith(".gz") else raw
    target = tmp_path / f"dump.tar.{mode[2:]}".removesuffix(".")
    with tarfile.open(target, mode) as archive:  # type: ignore[call-overload]
        info = tarfile.TarInfo(member)
        info.size = len(raw)
        archive.addfile(info, io.BytesIO(raw))
    assert [d.name for d in files.capture(target).objects[Deployment]] == ["shop"]


def test_a_lone_gz_that_is_cut_is_named(tmp_path: Path) -> None:
    whole = gzip.compress(json.dumps(DEPLOYMENT).encode())
    (tmp_path / "a.json.gz").write_bytes(whole[:-12])
    with pytest.raises(UsageError, match=r"a\.json\.gz: the archive is damaged or truncated"):
        files.capture(tmp_path / "a.json.gz")


def test_json_lines_are_read_by_line(tmp_path: Path) -> None:
    other = {**DEPLOYMENT, "metadata": {"name": "bank", "namespace": "web"}}
    written(tmp_path, "all.jsonl", f"{json.dumps(DEPLOYMENT)}\n\n{json.dumps(other)}\n")
    assert [d.name for d in files.capture(tmp_path).objects[Deployment]] == ["bank", "shop"]


def test_a_link_to_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "dump").mkdir()
    written(tmp_path / "dump", "a.json", DEPLOYMENT)
    (tmp_path / "given").mkdir()
    (tmp_path / "given" / "prod").symlink_to(tmp_path / "dump")
    with pytest.raises(UsageError, match="prod: a link to a folder"):
        files.capture(tmp_path / "given")
    assert files.capture(tmp_path / "given" / "prod").state(Deployment).kept == 1


def test_files_of_other_kinds_are_named_in_coverage(tmp_path: Path) -> None:
    written(tmp_path, "a.json", DEPLOYMENT)
    written(tmp_path, ".hidden", "x")
    for number in range(7):
        written(tmp_path, f"{number}.md", "x")
    (row,) = [c for c in files.capture(tmp_path).coverage if c.resource == "files"]
    assert row.state == "not read"
    assert row.note.startswith("files without objects of a cluster: 0.md (no JSON or YAML), 1.md")
    assert row.note.endswith(" and 2 more")


@pytest.mark.parametrize(
    "content", ["[1]", '{"kind": 1}', '{"kind": "youtube#video"}', '{"name": "app", "version": "1"}', '"text"']
)
@pytest.mark.parametrize("name", ["other.json", "other.yaml"])
def test_a_foreign_file_is_named_and_ends_nothing(tmp_path: Path, name: str, content: str) -> None:
    written(tmp_path, "a.json", DEPLOYMENT)
    snapshot = files.capture(written(tmp_path, name, content))
    assert snapshot.state(Deployment).kept == 1
    assert [c.note for c in snapshot.coverage if c.resource == "files"] == [
        f"files without objects of a cluster: {name} (no kind and apiVersion)"
    ]


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("pods.json", json.dumps([DEPLOYMENT]), "objects outside a List"),
        ("pods.json", json.dumps({"items": [DEPLOYMENT]}), "objects outside a List"),
        ("pods.json", '{"kind": "PodList", "items": []}', "a PodList without apiVersion"),
        ("pod.yaml", "kind: Pod\nmetadata: {name: a}\n", "a Pod without apiVersion"),
        ("deploy.yaml", "kind: Pod\n{{ if .Values.x }}\n", "not valid YAML: .*; render templates first"),
    ],
)
def test_what_may_hold_objects_is_refused(tmp_path: Path, name: str, content: str, says: str) -> None:
    written(tmp_path, "a.json", DEPLOYMENT)
    with pytest.raises(UsageError, match=rf"{name}: {says}"):
        files.capture(written(tmp_path, name, content))


def test_many_missing_kinds_are_counted_few_are_named(tmp_path: Path, recordings: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "all").mkdir()
    manifests = files.capture(written(tmp_path / "one", "a.json", DEPLOYMENT))
    assert repr(manifests).endswith(
        f"1 objects of 1 kinds, incomplete: {len(manifests.incomplete)} kinds (failed, see coverage)>"
    )
    for file in (recordings / "northwind-prod" / "2026-10-31").iterdir():
        if not file.name.startswith(("pods.", "nodes.")):
            shutil.copy(file, tmp_path / "all")
    assert repr(files.capture(tmp_path / "all")).endswith("incomplete: nodes, pods (failed)>")


def test_a_truncated_archive_is_named(tmp_path: Path, recordings: Path) -> None:
    whole = archived(recordings / "http", tmp_path / "x.tar.gz").read_bytes()
    (tmp_path / "cut.tar.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UsageError, match="damaged or truncated"):
        files.capture(tmp_path / "cut.tar.gz")


def test_two_dumps_at_once_are_refused(tmp_path: Path, recordings: Path) -> None:
    for date in ("2026-09-30", "2026-10-31"):
        (tmp_path / date).mkdir()
        shutil.copy(recordings / "northwind-prod" / date / "namespaces.core.json", tmp_path / date)
    with pytest.raises(UsageError, match="one dump of one cluster"):
        files.capture(tmp_path)


@pytest.mark.parametrize(
    ("flags", "method", "says"),
    [(1, zipfile.ZIP_STORED, "password required"), (0, 99, "compression method is not supported")],
)
def test_an_archive_that_cannot_be_read_is_named(tmp_path: Path, flags: int, method: int, says: str) -> None:
    path = tmp_path / "dump.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("pods.json", "{}")
    raw = bytearray(path.read_bytes())
    local, central = raw.find(b"PK\3\4"), raw.find(b"PK\1\2")
    raw[local + 6] = raw[central + 8] = flags
    raw[local + 8] = raw[central + 10] = method
    path.write_bytes(raw)
    with pytest.raises(UsageError, match=rf"dump\.zip: the archive cannot be read \(.*{says}"):
        files.capture(path)


def test_a_name_that_is_no_text_is_refused(tmp_path: Path) -> None:
    for within, name in (("a", "bad\udcff.json"), ("bad\udcff", "pods.json")):
        (tmp_path / within).mkdir()
        (tmp_path / within / name).write_text('{"apiVersion": "v1", "kind": "PodList", "items": []}')
        with pytest.raises(UsageError, match="is no UTF-8; rename it"):
            files.capture(tmp_path / within)


@pytest.mark.parametrize("when", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59-14:00"])
def test_a_time_without_kubernetes_is_refused(tmp_path: Path, when: str) -> None:
    (tmp_path / "pods.json").write_text('{"apiVersion": "v1", "kind": "PodList", "items": []}')
    with pytest.raises(UsageError, match=r"--taken-at .*: no time at which a cluster was read"):
        files.capture(tmp_path, taken_at=datetime.fromisoformat(when))
    (tmp_path / "recorded-as").write_text(f'{{"recorded_as": "x", "server_time": "{when}"}}')
    with pytest.raises(UsageError, match=r"recorded-as .*: no time at which a cluster was read"):
        files.capture(tmp_path)
