"""Effective settings of the control plane's programs, by the rules of pflag and Kubernetes."""

import pytest

from auditkit.analysis import flags
from auditkit.analysis.flags import effective

APISERVER = "kube-apiserver"


def test_a_flag_not_given_has_its_default() -> None:
    settings = effective(APISERVER, {})
    assert settings.true("anonymous-auth") is True
    assert settings.items("authorization-mode") == ["AlwaysAllow"]
    assert settings.seconds("request-timeout") == 60
    assert settings.text("audit-log-path") == ""
    assert settings.given("audit-log-path") is False


def test_of_repeats_the_last_wins_and_lists_add_up() -> None:
    settings = effective(
        APISERVER, {"profiling": ["true", "false"], "authorization-mode": ["Node", "RBAC,Webhook"], "v": ["2"]}
    )
    assert settings.true("profiling") is False
    assert settings.items("authorization-mode") == ["Node", "RBAC", "Webhook"]


@pytest.mark.parametrize(("text", "value"), [("1", True), ("T", True), ("FALSE", False), ("yes", None), ("", None)])
def test_booleans_are_those_of_go(text: str, value: bool | None) -> None:
    assert effective(APISERVER, {"profiling": [text]}).true("profiling") is value


@pytest.mark.parametrize(
    ("text", "value"),
    [("1m0s", 60), ("1h30m", 5400), ("500ms", 0.5), ("0", 0), ("0s", 0), ("1.5h", 5400), ("5", None), ("soon", None)],
)
def test_durations_are_those_of_go(text: str, value: float | None) -> None:
    assert flags.seconds(text) == value


@pytest.mark.parametrize(
    ("given", "runs", "does_not"),
    [
        ({}, {"ServiceAccount", "NamespaceLifecycle", "PodSecurity"}, {"NodeRestriction", "AlwaysPullImages"}),
        ({"enable-admission-plugins": ["NodeRestriction", "EventRateLimit"]}, {"NodeRestriction", "EventRateLimit"}, set()),
        ({"disable-admission-plugins": ["ServiceAccount"]}, {"LimitRanger"}, {"ServiceAccount"}),
        (
            {"disable-admission-plugins": ["ServiceAccount"], "enable-admission-plugins": ["ServiceAccount"]},
            {"ServiceAccount"},
            set(),
        ),
        ({"admission-control": ["LimitRanger,AlwaysAdmit"]}, {"LimitRanger", "AlwaysAdmit"}, {"ServiceAccount"}),
    ],
)  # fmt: skip
def test_admission_plugins(given: dict[str, list[str]], runs: set[str], does_not: set[str]) -> None:
    plugins = set(effective(APISERVER, given).plugins() or ())
    assert runs <= plugins
    assert not does_not & plugins


def test_what_a_file_decides_is_not_known() -> None:
    by_file = effective(APISERVER, {"authorization-config": ["/etc/authz.yaml"], "profiling": ["false"]})
    assert by_file.items("authorization-mode") is None
    assert by_file.true("profiling") is False
    openshift = effective(APISERVER, {"openshift-config": ["/etc/config.yaml"], "profiling": ["false"]})
    assert openshift.true("anonymous-auth") is None
    assert openshift.plugins() is None
    assert openshift.true("profiling") is False
    scheduler = effective("kube-scheduler", {"config": ["/etc/s.yaml"], "profiling": ["false"]})
    assert scheduler.true("profiling") is None
    assert scheduler.text("bind-address") == "0.0.0.0"


def test_a_reference_or_a_withheld_value_is_not_known_but_given() -> None:
    settings = effective(APISERVER, {"audit-log-path": ["$(LOG)"], "token-auth-file": ["(withheld)"]})
    assert settings.text("audit-log-path") is None
    assert settings.given("token-auth-file") is True


def test_etcd_reads_variables_for_flags_that_are_not_given() -> None:
    env = {"ETCD_CLIENT_CERT_AUTH": "true", "ETCD_AUTO_TLS": "true", "ETCD_CERT_FILE": None}
    settings = effective("etcd", {"auto-tls": ["false"]}, env=env)
    assert settings.true("client-cert-auth") is True
    assert settings.true("auto-tls") is False
    assert settings.given("cert-file") is None
    assert effective("etcd", {"config-file": ["/e.yaml"], "auto-tls": ["false"]}).true("auto-tls") is None
    assert effective(APISERVER, {}, env={"ETCD_PROFILING": "false"}).true("profiling") is True


def test_defaults_follow_the_version() -> None:
    assert effective(APISERVER, {}, flags.minor("v1.19.16")).number("insecure-port") == 8080
    assert effective(APISERVER, {}, flags.minor("v1.36.2")).number("insecure-port") == 0


def test_feature_gates() -> None:
    gates = {"feature-gates": ["A=true,B=false", "kube:B=true", "C=perhaps"]}
    settings = effective("kube-controller-manager", gates)
    assert [settings.gate(name) for name in "ABCD"] == [True, True, None, True]


@pytest.mark.parametrize(
    ("suites", "version", "weak"),
    [
        ([], "", True),
        (["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "TLS_AES_128_GCM_SHA256"], "", False),
        (["TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"], "VersionTLS12", False),
        (["TLS_RSA_WITH_AES_256_GCM_SHA384"], "", True),
        (["TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA"], "", True),
        ([], "VersionTLS13", False),
        (None, "", None),
        ([], None, None),
    ],
)
def test_weak_suites(suites: list[str] | None, version: str | None, weak: bool | None) -> None:
    assert flags.weak_tls(suites, version) is weak


@pytest.mark.parametrize(
    ("address", "local"),
    [
        ("127.0.0.1:10249", True),
        ("127.0.0.53", True),
        ("localhost:1", True),
        ("::1", True),
        ("[::1]:10249", True),
        ("0.0.0.0", False),
        ("[::]:10249", False),
        ("::", False),
        ("10.0.0.1:1", False),
        ("metrics.example", None),
        ("", None),
        (None, None),
    ],
)
def test_loopback(address: str | None, local: bool | None) -> None:
    assert flags.loopback(address) is local
