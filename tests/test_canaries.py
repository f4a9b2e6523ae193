"""No secret of a cluster reaches any byte that a run leaves behind: pack, log or temporary file."""

import base64
import html
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from apiserver import TOKEN, ApiServer, serving

PRIVATE_KEY = b"PRIVATE KEY-----"


def planted(where: str) -> str:
    return f"PLANTED-{where}-5e1f"


# Where the recorded cluster's own canaries do not lie: the leak paths by which tools of this kind have leaked before.
PLACES = (
    "data", "stringdata", "keyname", "applied", "snippet", "cause", "managed", "env", "argument", "flag", "hook",
    "probe", "init", "ephemeral", "configmap", "binary", "helmrelease", "argoparameter", "argovalues", "repourl",
    "unknownkind", "pullsecret", "webhookurl", "request", "event", "podcondition", "nodecondition", "certcondition",
    "image", "statusimage", "basicauth", "externalname", "tlskey", "aftercert", "processenv", "crdexample", "velero",
)  # fmt: skip


# Where an audit log has what nobody should read again.
LOGGED = (
    "auditrequest",
    "auditresponse",
    "auditquery",
    "auditpath",
    "auditannotation",
    "auditresourcename",
    "auditpatch",
)


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def items(dump: Path, name: str) -> Any:
    path = dump / f"{name}.json"
    document = json.loads(path.read_text())
    yield document["items"]
    path.write_text(json.dumps(document))


@pytest.fixture(scope="module")
def dump(recordings: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The recorded cluster with one more canary for every place in PLACES."""
    dump = Path(shutil.copytree(recordings / "northwind-prod" / "2026-10-31", tmp_path_factory.mktemp("dump") / "d"))
    for secrets in items(dump, "secrets.core"):
        tls = next(s for s in secrets if s["type"] == "kubernetes.io/tls" and s["metadata"]["name"] == "web-tls")
        certificate = base64.b64decode(tls["data"]["tls.crt"]).decode()
        key = f"-----BEGIN PRIVATE KEY-----\n{b64(planted('aftercert'))}\n-----END PRIVATE KEY-----\n"
        tls["data"]["tls.crt"], tls["data"]["tls.key"] = b64(certificate + key), b64(planted("tlskey"))
        bare = {"metadata": {"namespace": "legacy"}, "type": "Opaque"}
        secrets += [
            {**bare, "metadata": {"namespace": "legacy", "name": "p1"}, "data": {"password": b64(planted("data"))}},
            {**bare, "metadata": {"namespace": "legacy", "name": "p2"}, "stringData": {"a": planted("stringdata")}},
            {**bare, "metadata": {"namespace": "legacy", "name": "p3"}, "data": {planted("keyname"): ""}},
            {
                "metadata": {"namespace": "legacy", "name": "p4"},
                "type": "helm.sh/release.v1",
                "data": {"release": b64(b64(planted("helmrelease")))},
            },
            {
                "metadata": {"namespace": "legacy", "name": "p5"},
                "type": "kubernetes.io/dockerconfigjson",
                "data": {".dockerconfigjson": b64(json.dumps({"auths": {"x": {"auth": b64(planted("pullsecret"))}}}))},
            },
        ]
    for maps in items(dump, "configmaps.core"):
        maps[0]["data"] = {"url": f"postgres://u:{planted('configmap')}@db"}
        maps[0]["binaryData"] = {"blob": b64(planted("binary"))}
    for deployments in items(dump, "deployments.apps"):
        meta, spec = deployments[0]["metadata"], deployments[0]["spec"]["template"]["spec"]
        meta["annotations"] = {
            "kubectl.kubernetes.io/last-applied-configuration": planted("applied"),
            "kubernetes.io/change-cause": planted("cause"),
        }
        meta["managedFields"] = [{"manager": "kubectl", "fieldsV1": {f"f:{planted('managed')}": {}}}]
        container = spec["containers"][0]
        container["env"] = [{"name": "DB_PASSWORD", "value": planted("env")}]
        container["args"] = [planted("argument"), f"--password={planted('flag')}"]
        container["lifecycle"] = {"preStop": {"exec": {"command": ["sh", "-c", planted("hook")]}}}
        container["livenessProbe"] = {"exec": {"command": ["curl", planted("probe")]}}
        container["image"] = f"https://user:{planted('image')}@registry.example/app:1"
        spec["initContainers"] = [{"name": "i", "image": "i", "command": ["sh", planted("init")]}]
    for pods in items(dump, "pods.core"):
        pods[0]["spec"]["ephemeralContainers"] = [{"name": "e", "image": "e", "command": [planted("ephemeral")]}]
        status = pods[0]["status"]
        status["conditions"] = [{"type": "Ready", "status": "False", "message": planted("podcondition")}]
        status["containerStatuses"] = [
            {"name": "x", "image": f"user:{planted('statusimage')}@r.example/a", "imageID": ""}
        ]
    for nodes in items(dump, "nodes.core"):
        nodes[0]["status"]["conditions"][0]["message"] = planted("nodecondition")
    for ingresses in items(dump, "ingresses.networking.k8s.io"):
        ingresses[0]["metadata"]["annotations"] = {
            "nginx.ingress.kubernetes.io/server-snippet": f"proxy_set_header Authorization {planted('snippet')};",
            "nginx.ingress.kubernetes.io/auth-url": f"https://u:{planted('basicauth')}@auth",
        }
    for services in items(dump, "services.core"):
        services[0]["spec"] = {"type": "ExternalName", "externalName": f"user:{planted('externalname')}@db.example"}
    for applications in items(dump, "applications.argoproj.io"):
        source = applications[0]["spec"].setdefault("source", {})
        source["repoURL"] = f"https://git:{planted('repourl')}@git.example/x"
        source["helm"] = {
            "values": f"password: {planted('argovalues')}",
            "parameters": [{"name": "p", "value": planted("argoparameter")}],
        }
    for constraints in items(dump, "k8srequiredlabels.constraints.gatekeeper.sh"):
        constraints[0]["spec"]["parameters"] = {"token": planted("unknownkind")}
    for hooks in items(dump, "validatingwebhookconfigurations.admissionregistration.k8s.io"):
        hooks[0]["webhooks"][0]["clientConfig"] = {"url": f"https://u:{planted('webhookurl')}@hook.example"}
    for requests in items(dump, "certificatesigningrequests.certificates.k8s.io"):
        requests[0]["spec"]["request"] = b64(planted("request"))
    for certificates in items(dump, "certificates.cert-manager.io"):
        certificates[0]["status"]["conditions"][0]["message"] = planted("certcondition")
    for events in items(dump, "events.core"):
        events[0]["message"] = planted("event")
    for definitions in items(dump, "customresourcedefinitions.apiextensions.k8s.io"):
        definitions[0]["spec"]["versions"][0]["schema"] = {"openAPIV3Schema": {"example": planted("crdexample")}}
    for locations in items(dump, "backupstoragelocations.velero.io"):
        locations[0]["spec"]["config"] = {"secretAccessKey": planted("velero")}
    return dump


def audited(folder: Path) -> Path:
    """An auditkit.toml that names an audit log at level RequestResponse with a canary for every place in LOGGED."""
    secret = {"kind": "Secret", "data": {"a": b64(planted("auditrequest"))}}
    answer = {"kind": "Secret", "stringData": {"a": planted("auditresponse")}}
    role = {
        "kind": "Role",
        "rules": [{"verbs": ["get"], "resources": ["secrets"], "resourceNames": [planted("auditresourcename")]}],
    }
    rbac = {"resource": "roles", "apiGroup": "rbac.authorization.k8s.io", "namespace": "legacy", "name": "r"}
    patch = [{"op": "add", "path": "/metadata/annotations/x", "value": planted("auditpatch")}]
    shell = {"resource": "pods", "subresource": "exec", "namespace": "legacy", "name": "p"}
    changes: list[dict[str, Any]] = [
        {
            "verb": "update",
            "objectRef": {"resource": "secrets", "name": "s"},
            "requestObject": secret,
            "responseObject": answer,
        },
        {"verb": "create", "objectRef": rbac, "responseObject": role},
        {"verb": "patch", "objectRef": rbac, "requestObject": patch},
        {"verb": "get", "objectRef": shell, "requestURI": f"/exec?command={planted('auditquery')}"},
        {"verb": "get", "user": {"username": "system:anonymous"}, "requestURI": f"/{planted('auditpath')}"},
        {"verb": "create", "objectRef": shell, "annotations": {"x": planted("auditannotation")}},
    ]
    whole = {
        "kind": "Event",
        "level": "RequestResponse",
        "stage": "ResponseComplete",
        "user": {"username": "ann"},
        "requestReceivedTimestamp": "2026-10-30T10:00:00Z",
        "stageTimestamp": "2026-10-30T10:00:00Z",
    }
    lines = [json.dumps({**whole, "auditID": str(n), **change}) for n, change in enumerate(changes)]
    # One that cannot be read is named by its line, not by its text.
    (folder / "audit.log").write_text("\n".join([*lines, f"{{{planted('auditrequest')}"]) + "\n")
    config = folder / "auditkit.toml"
    config.write_text('[imports]\naudit_log = "audit.log"\n')
    return config


def forms(secret: str) -> set[bytes]:
    """The secret in each way it may be written: plain, UTF-16, hex, and base64 at any offset, once or twice."""
    plain = secret.encode()
    found = {plain, secret.encode("utf-16-le"), plain.hex().encode()}
    for once in base64_forms(plain):
        found |= {once, *base64_forms(once)}
    return found


def base64_forms(plain: bytes) -> Iterator[bytes]:
    """What is sure to stand in the base64 of any text that holds `plain`, by its offset modulo 3."""
    for offset in range(3):
        first, last = -(-offset * 8 // 6), (offset + len(plain)) * 8 // 6
        yield base64.b64encode(b"\0" * offset + plain)[first:last]


def contents(path: Path) -> Iterator[bytes]:
    """Every reading of a file: as it is, unpacked, and with the escapes of HTML and JSON undone."""
    raw = path.read_bytes()
    readings = [raw]
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            readings += [archive.read(name) for name in archive.namelist()]
    elif path.suffix == ".zst":
        with pa.CompressedInputStream(str(path), "zstd") as stream:
            readings.append(stream.read())
    elif path.suffix == ".parquet":
        readings.append(json.dumps(pq.read_table(path).to_pylist(), default=str, ensure_ascii=False).encode())
    for reading in readings:
        yield reading
        text = html.unescape(reading.decode("utf-8", "replace"))
        yield text.encode()
        yield re.sub(r"\\u([0-9a-fA-F]{4})", lambda m: chr(int(m[1], 16)), text).encode("utf-8", "replace")


def test_forms_are_found_wherever_they_hide() -> None:
    for pad in range(4):
        text = "x" * pad + "CANARY-abc" + "y" * 7
        for hidden in (text, b64(text), b64(b64(text)), text.encode().hex()):
            assert any(form in hidden.encode() for form in forms("CANARY-abc")), hidden


def test_no_secret_is_left_anywhere(dump: Path, recordings: Path, tmp_path: Path) -> None:
    """The whole run as a scheduler starts it, over the wire, with every option that reads Secrets."""
    recorded = (recordings / "canaries.txt").read_text().splitlines()
    secrets = [line.partition("\t")[0] for line in recorded if not line.startswith("#")]
    # By what they begin with: searching for each of them in every form would take minutes.
    beginnings = ["CANARY-", "CANARYaa7f3a9000", "CANARYbb7f3a9000"]
    assert all(secret.startswith(tuple(beginnings)) for secret in secrets)
    beginnings += ["PLANTED-", TOKEN]
    everywhere = b"".join(path.read_bytes() for path in dump.rglob("*.json")).decode()
    given = tmp_path / "given"
    given.mkdir()
    config = audited(given)
    everywhere += (given / "audit.log").read_text()
    hidden = {"processenv"}
    for place in {*PLACES, *LOGGED} - hidden:
        assert any(form.decode() in everywhere for form in forms(planted(place)) if form.isascii()), place
    out, temporary = tmp_path / "pack", tmp_path / "tmp"
    temporary.mkdir()
    with serving(ApiServer(dump)) as api:
        environment = {
            **os.environ,
            "KUBECONFIG": str(api.kubeconfig(tmp_path)),
            "TMPDIR": str(temporary),
            "no_proxy": "127.0.0.1",
            "AUDITKIT_CANARY": planted("processenv"),
        }
        options = ["--secrets", "--tls-secrets", "--secret-facts", "--qps", "0"]
        ran = subprocess.run(
            [
                sys.executable,
                "-m",
                "auditkit",
                "run",
                "--context",
                "northwind",
                *options,
                "--config",
                str(config),
                "--out",
                str(out),
            ],
            capture_output=True,
            env=environment,
            timeout=300,
        )
    assert ran.returncode in (0, 3), ran.stderr.decode()
    (tmp_path / "log").write_bytes(ran.stdout + ran.stderr)
    files = [*out.rglob("*"), *temporary.rglob("*"), tmp_path / "log"]
    needles = {form: beginning for beginning in beginnings for form in forms(beginning)}
    needles[PRIVATE_KEY] = "a private key"
    found = {
        f"{path.relative_to(tmp_path)}: {secret}, near {reading[max(reading.find(form) - 40, 0) :][:120]!r}"
        for path in files
        if path.is_file()
        for reading in contents(path)
        for form, secret in needles.items()
        if form in reading
    }
    assert found == set()
    # Nor where on this machine the pack was made.
    tell_tale = [p.name for p in files if p.is_file() and out in p.parents and str(tmp_path).encode() in p.read_bytes()]
    assert tell_tale == []
