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


def container(name: str, *, command: list[str] | None = None, args: list[str] | None = None, **more: object) -> dict:
    return {"name": "x", "image": f"registry.example/{name}:v1.36.2", "command": command, "args": args, **more}


@pytest.mark.parametrize(
    ("command", "args", "flag", "value"),
    [
        (["kube-apiserver", "--profiling=false"], None, "profiling", "false"),
        (["kube-apiserver"], ["--profiling=false"], "profiling", "false"),
        (["/usr/local/bin/kube-apiserver", "--audit-log-path", "/log"], None, "audit-log-path", "/log"),
        (["kube-apiserver"], ["--audit-log-path", "/log"], "audit-log-path", "/log"),
        (["kube-apiserver", '--audit-log-path="/log"'], None, "audit-log-path", "/log"),
        (["kube-apiserver", "--audit_log_path=/log"], None, "audit-log-path", "/log"),
        (["kube-apiserver", "--profiling"], ["--v=2"], "profiling", "true"),
        (["kube-apiserver", "--profiling=true"], ["--profiling=false"], "profiling", "false"),
        (
            ["kube-apiserver", "--authorization-mode=Node"],
            ["--authorization-mode=RBAC"],
            "authorization-mode",
            "Node,RBAC",
        ),
        (["sh", "-c", "exec kube-apiserver --profiling=false 2>&1 | tee /log"], None, "profiling", "false"),
        (["kube-apiserver"], None, "audit-log-maxage", "0"),
    ],
)
def test_flags_of_a_container(command: list[str], args: list[str] | None, flag: str, value: str) -> None:
    settings = flags.running(container("kube-apiserver", command=command, args=args))
    assert settings
    assert (settings.component, settings.version) == (APISERVER, 36)
    assert settings.text(flag) == value


@pytest.mark.parametrize("command", [None, ["nginx"], ["my-kube-apiserver"], ["echo", "kube-apiserver"]])
def test_other_programs_have_no_settings(command: list[str] | None) -> None:
    assert flags.running(container("kube-apiserver", command=command)) is None


def test_etcd_of_a_container_reads_its_environment() -> None:
    env = [
        {"name": "ETCD_CLIENT_CERT_AUTH", "value": "true"},
        {"name": "ETCD_AUTO_TLS", "value": "true"},
        {"name": "ETCD_PEER_AUTO_TLS", "value": ""},
        {"name": "ETCD_CERT_FILE", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "k"}}},
        {"name": "OTHER", "value": "x"},
    ]
    settings = flags.running(container("etcd", command=["etcd", "--auto-tls=false"], env=env))
    assert settings
    assert settings.true("client-cert-auth") is True
    assert settings.true("auto-tls") is False
    assert settings.true("peer-auto-tls") is False
    assert settings.given("cert-file") is None
    assert settings.given("key-file") is False


def test_in_etcd_the_last_list_wins() -> None:
    assert effective("etcd", {"cipher-suites": ["A,B", "C"]}).items("cipher-suites") == ["C"]
    assert effective(APISERVER, {"tls-cipher-suites": ["A,B", "C"]}).items("tls-cipher-suites") == ["A", "B", "C"]


def test_a_stage_that_is_switched_off_leaves_a_gate_open() -> None:
    assert effective(APISERVER, {"feature-gates": ["AllBeta=false"]}).gate("A") is None
    assert effective(APISERVER, {"feature-gates": ["AllBeta=false,A=true"]}).gate("A") is True
    assert effective(APISERVER, {"feature-gates": ["AllAlpha=false"]}).gate("A") is True


@pytest.mark.parametrize(
    ("version", "flag", "value"),
    [
        (19, "service-account-extend-token-expiration", False),
        (20, "service-account-extend-token-expiration", True),
        (36, "service-account-extend-token-expiration", True),
        (None, "service-account-extend-token-expiration", True),
    ],
)
def test_a_default_that_changed(version: int | None, flag: str, value: bool) -> None:
    assert effective(APISERVER, {}, version).true(flag) is value


@pytest.mark.parametrize(
    ("version", "plugin", "runs"),
    [(22, "PodSecurity", False), (23, "PodSecurity", True), (36, "PodSecurity", True), (None, "PodSecurity", True),
     (16, "CertificateApproval", False), (29, "ValidatingAdmissionPolicy", False), (36, "NodeRestriction", False)],
)  # fmt: skip
def test_plugins_follow_the_version(version: int | None, plugin: str, runs: bool) -> None:
    assert (plugin in (effective(APISERVER, {}, version).plugins() or ())) is runs
