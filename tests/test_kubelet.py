"""The kubelet's settings: the defaults of a configuration file, and what is given."""

import json

import msgspec
import pytest

from auditkit.analysis.kubelet import effective
from auditkit.kinds import read
from auditkit.kinds.configuration import Kubelet

DEFAULTS = {
    "anonymous": False, "authorization": "Webhook", "client_ca": False, "read_only_port": 0, "idle_timeout": 14400.0,
    "iptables_chains": True, "event_qps": 50, "serving_certificate": False, "rotates": False, "rotates_serving": False,
    "weak_tls": True, "pod_pids": -1, "seccomp_default": False, "protects_kernel": False,
}  # fmt: skip


def test_an_empty_configuration_has_the_defaults_of_a_file():
    assert effective({})._asdict() == DEFAULTS
    assert effective("kind: KubeletConfiguration\n")._asdict() == DEFAULTS


@pytest.mark.parametrize(
    ("given", "changed"),
    [
        ({"authentication": {"anonymous": {"enabled": True}}}, {"anonymous": True}),
        ({"authentication": {"anonymous": {}, "x509": {"clientCAFile": "/ca"}}}, {"client_ca": True}),
        ({"authorization": {"mode": "AlwaysAllow"}}, {"authorization": "AlwaysAllow"}),
        ({"authorization": {"mode": ""}}, {}),
        ({"readOnlyPort": 10255}, {"read_only_port": 10255}),
        ({"streamingConnectionIdleTimeout": "0s"}, {}),
        ({"streamingConnectionIdleTimeout": "5m0s"}, {"idle_timeout": 300.0}),
        ({"streamingConnectionIdleTimeout": "soon"}, {"idle_timeout": None}),
        ({"makeIPTablesUtilChains": False}, {"iptables_chains": False}),
        ({"eventRecordQPS": 0}, {"event_qps": 0}),
        ({"tlsCertFile": "/c"}, {}),
        ({"tlsCertFile": "/c", "tlsPrivateKeyFile": "/k"}, {"serving_certificate": True}),
        ({"serverTLSBootstrap": True}, {"serving_certificate": True, "rotates_serving": True}),
        (
            {"serverTLSBootstrap": True, "featureGates": {"RotateKubeletServerCertificate": False}},
            {"serving_certificate": True},
        ),
        ({"rotateCertificates": True}, {"rotates": True}),
        ({"tlsMinVersion": "VersionTLS13"}, {"weak_tls": False}),
        ({"tlsCipherSuites": ["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"]}, {"weak_tls": False}),
        ({"podPidsLimit": 4096}, {"pod_pids": 4096}),
        ({"podPidsLimit": -5}, {}),
        ({"seccompDefault": True, "protectKernelDefaults": True}, {"seccomp_default": True, "protects_kernel": True}),
    ],
)
def test_what_is_given(given, changed):
    expected = {**DEFAULTS, **changed}
    assert effective(given)._asdict() == expected
    assert effective(read(Kubelet, given))._asdict() == expected
    # JSON is YAML: the text of a ConfigMap; and the document of /configz
    assert effective(json.dumps(given))._asdict() == expected
    assert effective({"kubeletconfig": given})._asdict() == expected


@pytest.mark.parametrize(("version", "qps"), [(26, 5), (27, 50), (36, 50), (None, 50)])
def test_the_default_for_events_follows_the_version(version, qps):
    assert effective({}, version).event_qps == qps
    assert effective({"eventRecordQPS": 7}, version).event_qps == 7


@pytest.mark.parametrize("text", ["a: [", "- a", "just text", "readOnlyPort: high"])
def test_what_is_none_is_not_read_as_defaults(text):
    with pytest.raises(msgspec.MsgspecError):
        effective(text)
