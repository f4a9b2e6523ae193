"""Scans of images, VEX, KEV, kube-bench and Kubescape: what is read of each format, and what is refused with its place."""

import json
import shutil
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from builders import imported, snapshot

from auditkit import evaluate
from auditkit.capture import imports
from auditkit.capture.imports import Supplied
from auditkit.capture.imports.benchmarks import ControlTest, NodeTest
from auditkit.capture.imports.exploitability import KnownExploited, VexStatement
from auditkit.capture.imports.image_scans import ImageScan, ScanFinding
from auditkit.capture.snapshot import Origin
from auditkit.errors import UsageError
from auditkit.evaluate import Tables

SCANS = Path(__file__).parent / "recordings" / "scans"
TRIVY = {"SchemaVersion": 2, "ArtifactName": "a:1", "ArtifactType": "container_image"}
KEV = {
    "catalogVersion": "2026.10.30",
    "dateReleased": "2026-10-30T17:00:00.0000Z",
    "count": 1,
    "vulnerabilities": [{"cveID": "CVE-2026-2222", "dateAdded": "2026-06-30", "dueDate": "2026-07-21"}],
}


def read(source: str, *paths: Path, **stated: Any) -> imports.Loaded:
    (found,) = imports.read([Supplied(source=source, paths=paths, **stated)])
    return found


def written(path: Path, document: object) -> Path:
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return path


def test_trivy_as_recorded() -> None:
    found = read("image_scans", SCANS / "trivy-payments-api.json")
    (scan,) = found.records[ImageScan]
    assert isinstance(scan, ImageScan) and scan.reference == "registry.northwind.example/payments/api:4.14.1"
    assert [d[:13] for d in scan.digests] == ["sha256:6b2bbe"] and scan.targets == 2
    assert scan.scanned_at == datetime(2026, 10, 30, 22, tzinfo=UTC) == found.about.made_at
    rows = [(f.id, f.package, f.severity, f.fixed_version) for f in found.records[ScanFinding]]  # type: ignore[attr-defined]
    assert rows == [
        ("CVE-2026-1111", "libexpat1", "medium", "2.6.4-1"),
        ("CVE-2026-4444", "golang.org/x/net", "high", "0.42.0"),
    ]


def test_a_time_at_the_end_of_the_calendar_does_no_harm(tmp_path: Path) -> None:
    report = json.loads((SCANS / "trivy-payments-api.json").read_text())
    for stated in ("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"):
        found = read("image_scans", written(tmp_path / "s.json", {**report, "CreatedAt": stated}))
        assert found.about.made_at is not None and str(found.about.made_at.year) in stated


def test_grype_as_recorded() -> None:
    found = read("image_scans", SCANS / "grype-marketing-site.json")
    (scan,) = found.records[ImageScan]
    assert isinstance(scan, ImageScan) and (scan.tool, scan.version) == ("grype", "0.99.1")
    assert scan.database_at == datetime(2026, 10, 30, 6, 12, tzinfo=UTC)
    rows = [(f.id, f.severity, f.fixed_version, f.exploited) for f in found.records[ScanFinding]]  # type: ignore[attr-defined]
    assert rows == [("CVE-2026-2222", "critical", "3.0.17-1", True), ("CVE-2026-3333", "high", None, None)]


def test_secrets_that_trivy_found_are_counted_and_not_kept(tmp_path: Path) -> None:
    found = read("image_scans", SCANS / "trivy-storefront.json")
    (scan,) = found.records[ImageScan]
    assert isinstance(scan, ImageScan) and scan.secrets == 1
    imports.save((found,), tmp_path / "saved")
    assert imports.load(tmp_path / "saved") == (found,)
    assert not any(word in str(found) for word in ("api_key", "generic-api-key", "config.yaml"))


def test_what_scanners_took_out_is_counted(tmp_path: Path) -> None:
    result = {"Target": "x", "Class": "os-pkgs", "ExperimentalModifiedFindings": [{"Type": "vulnerability"}, {}]}
    report = {**TRIVY, "Trivy": {"Version": "0.70.0"}, "Results": [result]}
    (scan,) = read("image_scans", written(tmp_path / "t.json", report)).records[ImageScan]
    assert isinstance(scan, ImageScan) and (scan.suppressed, scan.version, scan.targets) == (2, "0.70.0", 1)


def test_no_finding_in_a_distribution_that_nobody_supports_is_not_known_to_be_none(tmp_path: Path) -> None:
    digest = "registry.example/a@sha256:" + "5" * 64
    container = {"name": "a", "image": "registry.example/a:1"}
    status = {"phase": "Running", "containerStatuses": [{"name": "a", "imageID": digest}]}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "a", "namespace": "web"},
        "spec": {"containers": [container]},
        "status": status,
    }
    for ended, verdict in ((False, "ok"), (True, "undetermined")):
        metadata = {"OS": {"Family": "debian", "Name": "9", "EOSL": ended}, "RepoDigests": [digest]}
        about = {"CreatedAt": "2026-10-30T00:00:00Z", "Metadata": metadata}
        report = {**TRIVY, **about, "Results": [{"Target": "x", "Class": "os-pkgs"}]}
        scan = read("image_scans", written(tmp_path / "t.json", report))
        given = [scan, *imported({"vex_statements": [], "known_exploited": []})]
        results = evaluate.run(Tables(snapshot([pod]).beside(given)), ["IMG-80", "IMG-82", "IMG-83", "IMG-84"])
        assert [list(r.population["verdict"]) for r in results.values()] == [[verdict]] * 4


def test_text_of_a_report_is_data(tmp_path: Path) -> None:
    """What a report says lands in tables as it is written, whatever it would be elsewhere."""
    hostile = ["=1+1", "<script>alert(1)</script>", "../../etc/passwd", "\u202egnp.exe", "$HOME `id`"]
    found = [
        {"VulnerabilityID": "CVE-1", "PkgName": text, "InstalledVersion": "1", "Severity": "<b>", "FixedVersion": ""}
        for text in hostile
    ]
    report = {**TRIVY, "ArtifactName": "=cmd|' /C calc'!A0", "Results": [{"Target": "x", "Vulnerabilities": found}]}
    tables = Tables(snapshot([]).beside([read("image_scans", written(tmp_path / "t.json", report))]))
    rows = tables["scan_findings"]
    assert sorted(rows.package) == sorted(hostile)
    assert rows.severity.isna().all() and rows.fixed_version.isna().all()
    assert tables["scans"].reference.isna().all()


def test_vex_is_about_a_component_a_package_or_an_image(tmp_path: Path) -> None:
    digest = "sha256:" + "1" * 64
    affects = [
        {"ref": "urn:cdx:3e671687-395b-41f5-a30f-a58921a69b79/1#pkg:npm/%40scope/x@1"},
        {"ref": "comp-1"},
        {"ref": f"pkg:oci/api@{digest.replace(':', '%3A')}?repository_url=reg.example"},
        {"ref": "something"},
    ]
    bom = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "components": [{"bom-ref": "comp-1", "purl": "pkg:deb/debian/a@1"}],
        "vulnerabilities": [{"id": "CVE-1", "affects": affects}],
    }
    said = read("vex", written(tmp_path / "v.json", bom)).records[VexStatement]
    assert [(v.purl, v.image) for v in said] == [  # type: ignore[attr-defined]
        ("pkg:npm/@scope/x@1", None),
        ("pkg:deb/debian/a@1", None),
        (None, digest),
        (None, None),
    ]


def test_vex_of_a_product_counts_for_its_image_alone(tmp_path: Path) -> None:
    component = {"name": "api", "purl": "pkg:oci/api@sha256%3A" + "2" * 64}
    bom = json.loads((SCANS / "vex-cyclonedx.json").read_text())
    bom["metadata"]["component"] = component
    said = read("vex", written(tmp_path / "v.json", bom)).records[VexStatement]
    assert {v.image for v in said} == {"sha256:" + "2" * 64}  # type: ignore[attr-defined]


def test_vex_of_what_a_document_does_not_say_is_about_nothing(tmp_path: Path) -> None:
    """A statement of one component would else close the vulnerability for every package of the product's image."""
    image = "sha256:" + "3" * 64
    affects = [
        {"ref": "product"},
        {"ref": "product", "versions": [{"range": "vers:deb/<2", "status": "unaffected"}]},
        {"ref": "without-purl"},
        {"ref": "not-listed"},
        {"ref": "package"},
        {"ref": "package", "versions": [{"version": "3.0"}]},
        {"ref": "package", "versions": [{"version": "2.9"}]},
        {"ref": "image", "versions": []},
    ]
    bom = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "metadata": {"component": {"bom-ref": "product", "version": image}},
        "components": [
            {"bom-ref": "without-purl"},
            {"bom-ref": "package", "purl": "pkg:deb/debian/a@3.0?arch=amd64"},
            {"bom-ref": "image", "purl": "pkg:oci/b@sha256%3A" + "4" * 64},
        ],
        "vulnerabilities": [{"id": "CVE-1", "affects": affects}],
    }
    said = read("vex", written(tmp_path / "v.json", bom)).records[VexStatement]
    package = "pkg:deb/debian/a@3.0?arch=amd64"
    assert [(v.purl, v.image) for v in said] == [  # type: ignore[attr-defined]
        (None, image),
        (None, None),
        (None, None),
        (None, None),
        (package, image),
        (package, image),
        (None, None),
        (None, "sha256:" + "4" * 64),
    ]


def test_kev_catalogue(tmp_path: Path) -> None:
    found = read("kev", written(tmp_path / "kev.json", KEV))
    (entry,) = found.records[KnownExploited]
    assert isinstance(entry, KnownExploited) and entry.due == datetime(2026, 7, 21, tzinfo=UTC)
    assert found.about.tool == "catalogue 2026.10.30"


def test_kube_bench_as_recorded() -> None:
    found = read("kube_bench", SCANS / "kube-bench-nwp-worker-a1.json", made_at=date(2026, 10, 30))
    rows = [t for t in found.records[NodeTest] if isinstance(t, NodeTest)]
    assert {t.node for t in rows} == {"nwp-worker-a1"} and {t.benchmark for t in rows} == {"cis-1.12"}
    assert [t.item for t in rows if t.status == "FAIL"] == ["4.1.9"]
    # What it read on the node is not kept.
    assert "permissions=" not in str(found)


def test_kube_bench_names_its_node_by_its_file(tmp_path: Path) -> None:
    report = (SCANS / "kube-bench-nwp-worker-a1.json").read_text()
    node = {t.node for t in read("kube_bench", written(tmp_path / "n1.example.json", report)).records[NodeTest]}  # type: ignore[attr-defined]
    assert node == {"n1.example"}
    with pytest.raises(UsageError, match="name the file after its node"):
        read("kube_bench", written(tmp_path / "kube-bench.json", report))
    twice = [written(tmp_path / "n1.json", report), written(tmp_path / "kube-bench-n1.json", f"{report}\n")]
    with pytest.raises(UsageError, match="two reports of n1"):
        read("kube_bench", *twice)


def test_an_unknown_status_of_kube_bench_is_named(tmp_path: Path) -> None:
    text = (SCANS / "kube-bench-nwp-worker-a1.json").read_text().replace('"FAIL"', '"FINE"')
    about = read("kube_bench", written(tmp_path / "n.json", text)).about
    assert about.state == "partial" and about.malformed[0].name == "n.json 4.1.9"


def test_kubescape_as_recorded() -> None:
    found = read("kubescape", SCANS / "kubescape-v2.json")
    failed = [t for t in found.records[ControlTest] if isinstance(t, ControlTest) and t.status == "failed"]
    assert [(t.control, t.kind, t.namespace, t.name) for t in failed] == [
        ("C-0048", "Deployment", "legacy", "billing"),
        ("C-0260", "Deployment", "legacy", "billing"),
    ]
    assert (found.about.cluster, found.about.tool) == ("northwind-prod", "Kubescape v4.0.9")
    with pytest.raises(UsageError, match="is of cluster northwind-prod, the snapshot of other"):
        imports.judged(found, Origin(cluster="other", source="tests", taken_at=found.about.made_at))


def test_objects_that_kubescape_leaves_out_keep_their_id(tmp_path: Path) -> None:
    report = json.loads((SCANS / "kubescape-v2.json").read_text())
    del report["resources"]
    rows = read("kubescape", written(tmp_path / "k.json", report)).records[ControlTest]
    assert {t.name for t in rows} == {  # type: ignore[attr-defined]
        "apps/v1/legacy/Deployment/billing",
        "apps/v1/payments/Deployment/payments-api",
    }


def test_one_table_of_tests_by_others() -> None:
    bench = read("kube_bench", SCANS / "kube-bench-nwp-worker-a1.json", made_at=date(2026, 10, 30))
    kubescape = read("kubescape", SCANS / "kubescape-v2.json", cluster="northwind-prod")
    rows = Tables(snapshot([]).beside([bench, kubescape]))["imported_tests"]
    assert rows.groupby(["tool", "status"]).size().to_dict() == {
        ("Kubescape", "FAIL"): 2,
        ("Kubescape", "PASS"): 4,
        ("kube-bench", "FAIL"): 1,
        ("kube-bench", "PASS"): 4,
        ("kube-bench", "WARN"): 2,
    }


SOURCES = {
    "image_scans": "trivy-payments-api.json",
    "vex": "vex-cyclonedx.json",
    "kube_bench": "kube-bench-nwp-worker-a1.json",
    "kubescape": "kubescape-v2.json",
}


@pytest.mark.parametrize("source", sorted(SOURCES))
def test_a_file_that_was_cut_off_is_refused_with_its_line(tmp_path: Path, source: str) -> None:
    text = (SCANS / SOURCES[source]).read_text()
    path = written(tmp_path / "cut.json", text[: len(text) // 2])
    with pytest.raises(UsageError, match=rf"cut\.json:{path.read_text().count(chr(10)) + 1}: not JSON, or cut off"):
        read(source, path)


@pytest.mark.parametrize("source", sorted(SOURCES))
@pytest.mark.parametrize("text", ["[]", "{}", '"x"', "[" * 100_000, '{"SchemaVersion": "2"}', "\xff", "a,b\n1,2\n"])
def test_what_is_something_else_is_refused(tmp_path: Path, source: str, text: str) -> None:
    with pytest.raises(UsageError, match=r"other\.json"):
        read(source, written(tmp_path / "other.json", text))


@pytest.mark.parametrize(
    ("source", "document", "said"),
    [
        ("image_scans", {**TRIVY, "SchemaVersion": 1}, "SchemaVersion 1 of Trivy is not read, only 2"),
        ("image_scans", {**TRIVY, "ArtifactType": "filesystem"}, "a scan of a filesystem, not of an image"),
        ("image_scans", {**TRIVY, "Results": [{"Vulnerabilities": [{"PkgName": "x"}]}]}, "VulnerabilityID"),
        (
            "image_scans",
            {"descriptor": {"name": "grype"}, "source": {"type": "directory", "target": "/src"}},
            "a scan of a directory",
        ),
        ("vex", {"bomFormat": "CycloneDX", "specVersion": "1.2"}, "CycloneDX 1.2 is not read"),
        ("vex", {"bomFormat": "CycloneDX", "specVersion": "1.6"}, "a list of components, not VEX"),
        ("kev", {**KEV, "count": 1400}, "holds 1 of 1400 vulnerabilities: not whole"),
        ("kev", {"vulnerabilities": []}, "not the KEV catalogue"),
        ("kube_bench", {"Controls": []}, "no result in any report"),
        ("kubescape", {"summaryDetails": {}, "results": []}, "has no result of an object"),
    ],
)
def test_another_version_or_kind_of_document_is_refused(
    tmp_path: Path, source: str, document: dict[str, Any], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        read(source, written(tmp_path / "x.json", document))


def test_two_files_of_one_name_are_refused(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    paths = [tmp_path / "trivy.json", tmp_path / "old" / "trivy.json"]
    for path in paths:
        shutil.copy(SCANS / "trivy-storefront.json", path)
    paths[1].write_text(f"{paths[1].read_text()}\n")
    with pytest.raises(UsageError, match=r"two files are named trivy\.json"):
        read("image_scans", *paths)


def test_scans_of_the_recordings_are_of_other_digests_than_run() -> None:
    """The tag is the same and the content is not: a join by reference would pass off one for the other."""
    import auditkit as ak

    files = sorted([*SCANS.glob("trivy-*.json"), *SCANS.glob("grype-*.json")])
    found = ak.demo().beside([read("image_scans", *files)])
    scans = Tables(found)["scans"]
    supplied = scans[scans.scanner != "trivy-operator"]
    assert len(supplied) == 5 and supplied.other_runs.all() and not supplied.runs.any()


def test_the_imports_of_the_demo_travel_in_a_pack(tmp_path: Path) -> None:
    from auditkit.engagement import load
    from auditkit.resources import folder

    found = imports.read(load(folder("data") / "demo" / "auditkit.toml").supplied())
    mine = [one for one in found if one.about.source in {*SOURCES, "kev", "prometheus"}]
    assert len(mine) == 6 and all(one.about.state == "collected" for one in mine)
    imports.save(tuple(mine), tmp_path / "saved")
    assert imports.load(tmp_path / "saved") == tuple(mine)
