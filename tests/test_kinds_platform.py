"""What is kept of the platform's objects: recordings, extracts, credentials that are judged and dropped."""

import base64
from pathlib import Path

import msgspec
import pytest

from auditkit import kinds
from auditkit.kinds import configuration, decode_page, delivery, platform
from auditkit.kinds.platform import ConfigMap, StorageClass

RECORDINGS = Path(__file__).parent / "recordings"
DATE = RECORDINGS / "northwind-prod" / "2026-10-31"
CANARIES = [line.split("\t")[0] for line in (RECORDINGS / "canaries.txt").read_text().splitlines() if line[:1] != "#"]
KINDS = [k for k in kinds.ALL if k.__module__ in (delivery.__name__, platform.__name__)]


@pytest.mark.parametrize("kind", KINDS, ids=lambda k: k.__name__)
def test_recorded_lists_decode_keep_no_secret_and_read_back_unchanged(kind: type[kinds.Kind]) -> None:
    raw = (DATE / f"{kind.plural}.{kind.group or 'core'}.json").read_bytes()
    _, objects, faults = decode_page(kind, raw)
    assert objects
    assert not faults
    kept = msgspec.json.encode(objects)
    assert msgspec.json.encode(msgspec.json.decode(kept, type=list[kind])) == kept  # type: ignore[valid-type]
    assert not [canary for canary in CANARIES if canary.encode() in kept]
    assert b"heartbeat" not in kept.lower()


def config_map(namespace: str, name: str, **data: str) -> ConfigMap:
    found = kinds.of(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": namespace, "name": name}, "data": data}
    )
    assert isinstance(found, ConfigMap)
    assert found.data is None
    return found


@pytest.mark.parametrize(
    ("key", "value", "judged"),
    [
        ("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI", True),
        ("application.properties", "user=a\ndb.password=hunter22\n", True),
        ("values.yaml", "db:\n  password: hunter22\n", True),
        ("settings.json", '{"apiKey": "hunter22"}', True),
        ("tls.key", "-----BEGIN RSA PRIVATE KEY-----\nMII\n-----END RSA PRIVATE KEY-----", True),
        ("url", "postgres://app:hunter22@db/app", True),
        ("values.yaml", "db:\n  passwordFile: /run/secrets/db\n", False),
        ("theme", "dark", False),
        ("TOKEN_TTL", "3600", False),
    ],
)
def test_credentials_are_named_and_not_kept(key: str, value: str, judged: bool) -> None:
    found = config_map("web", "settings", **{key: value, "other": "x"})
    assert (found.credential_keys or []) == ([key] if judged else [])
    assert found.keys == 2
    assert value.splitlines()[-1] not in str(found)


def test_binary_data_is_judged_too() -> None:
    binary = {"app.properties": base64.b64encode(b"password=hunter22").decode(), "logo.png": "iVBORw0KGgo="}
    manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "binaryData": binary}
    found = kinds.of(manifest)
    assert isinstance(found, ConfigMap)
    assert (found.keys, found.credential_keys, found.binary_data) == (2, ["app.properties"], None)


def test_a_public_certificate_is_no_credential_what_lies_beside_it_may_be() -> None:
    certificate = "-----BEGIN CERTIFICATE-----\nMIIB/AKIAABCDEFGHIJKLMNOP/0Q==\n-----END CERTIFICATE-----\n"
    assert configuration.credential_keys({"tls": certificate, "token": certificate}, {}) == []
    assert configuration.credential_keys({"mixed": certificate + "password: x1y2z3\n"}, {}) == ["mixed"]
    assert configuration.credential_keys({"hidden": certificate.replace("MIIB", "password=x1y2z3")}, {}) == ["hidden"]


def test_kubelet_and_kube_proxy_are_extracted_from_kube_system_only() -> None:
    text = "authentication: {anonymous: {enabled: false}, x509: {clientCAFile: /ca}}\nreadOnlyPort: 0\nother: 1\n"
    found = config_map("kube-system", "kubelet-config-1.23", kubelet=text)
    assert found.kubelet is not None
    assert found.kubelet.read_only_port == 0
    assert found.kubelet.authentication == configuration.Authentication(
        anonymous=configuration.Switch(enabled=False), x509=configuration.X509(client_ca_file="/ca")
    )
    assert config_map("web", "kubelet-config", kubelet=text).kubelet is None
    proxy = config_map("kube-system", "kube-proxy-config", config="metricsBindAddress: 0.0.0.0:10249")
    assert proxy.kube_proxy == configuration.KubeProxy(metrics_bind_address="0.0.0.0:10249")


@pytest.mark.parametrize("text", ["readOnlyPort: [", "readOnlyPort: many", "", "- 1"])
def test_an_extract_that_cannot_be_read_is_named_not_absent(text: str) -> None:
    found = config_map("kube-system", "kubelet-config", kubelet=text)
    assert (found.kubelet, found.unreadable) == (None, ["kubelet"])


def test_aws_auth_keeps_who_is_what() -> None:
    roles = "- rolearn: arn:aws:iam::1:role/node\n  username: system:node\n  groups: [system:nodes]\n"
    users = "- userarn: arn:aws:iam::1:user/ann\n  username: ann\n  groups: [system:masters]\n"
    found = config_map("kube-system", "aws-auth", mapRoles=roles, mapUsers=users, mapAccounts="[]")
    assert [(m.arn, m.username, m.groups) for m in found.aws_auth or ()] == [
        ("arn:aws:iam::1:role/node", "system:node", ["system:nodes"]),
        ("arn:aws:iam::1:user/ann", "ann", ["system:masters"]),
    ]


def test_of_public_config_maps_only_certificates_are_kept() -> None:
    pem = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----"
    key = "-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----"
    root = config_map("web", "kube-root-ca.crt", **{"ca.crt": f"{key}\n{pem}\n{pem}\n"})
    assert root.certificates == [pem]
    data = base64.b64encode(pem.encode()).decode()
    info = config_map("kube-public", "cluster-info", kubeconfig=f"cluster: {{certificate-authority-data: {data}}}")
    assert info.certificates == [pem]
    assert config_map("web", "my-ca", **{"ca.crt": pem}).certificates is None


def test_of_storage_parameters_only_those_about_encryption_are_kept() -> None:
    parameters = {
        "encrypted": "true",
        "kmsKeyId": "k",
        "type": "gp3",
        "csi.storage.k8s.io/provisioner-secret-name": "s",
        "encryptionPassphrase": "hunter22",
    }
    manifest = {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "c"}}
    found = kinds.of({**manifest, "provisioner": "p", "parameters": parameters})
    assert isinstance(found, StorageClass)
    assert found.parameters == {"encrypted": "true", "kmsKeyId": "k"}


def test_of_a_providers_node_id_only_the_provider_is_kept() -> None:
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n"}, "spec": {"providerID": "aws:///a/i-0123"}}
    kept = msgspec.json.encode(kinds.of(node))
    assert b'"providerID":"aws"' in kept
    assert b"i-0123" not in kept
