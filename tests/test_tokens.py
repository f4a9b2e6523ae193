"""ServiceAccount tokens: the admission plugin's rules, row by row."""

import pytest

from auditkit.analysis.tokens import MOUNT_PATH, automounts, for_api_server, holds_token
from auditkit.kinds import read
from auditkit.kinds.platform import ServiceAccount
from auditkit.kinds.workloads import Deployment, Pod

LOUD, QUIET = {"automountServiceAccountToken": True}, {"automountServiceAccountToken": False}
UNSET = {}
ADMITTED = {"uid": "u-1"}
MIRROR = {"annotations": {"kubernetes.io/config.mirror": "x"}}


def mounted(name="v", path=MOUNT_PATH):
    return {"name": "c", "volumeMounts": [{"name": name, "mountPath": path}]}


def projected(**token):
    return {"volumes": [{"name": "v", "projected": {"sources": [{"serviceAccountToken": {"path": "token", **token}}]}}]}


def pod(*containers, metadata=None, **spec):
    return {"metadata": metadata or {}, "spec": {"containers": list(containers) or [{"name": "c"}], **spec}}


@pytest.mark.parametrize(
    ("of_pod", "of_account", "answer"),
    [
        (None, None, True),
        (None, True, True),
        (None, False, False),
        (True, False, True),
        (True, None, True),
        (False, True, False),
        (False, None, False),
    ],
)
def test_automount_in_effect(of_pod, of_account, answer):
    assert automounts(of_pod, of_account) is answer
    manifest = pod(automountServiceAccountToken=of_pod)
    account = {"automountServiceAccountToken": of_account}
    assert holds_token(manifest, account) is answer
    assert holds_token(read(Pod, manifest), read(ServiceAccount, {"metadata": {}, **account})) is answer


@pytest.mark.parametrize(
    ("manifest", "account", "answer"),
    [
        (pod(), None, None),
        (pod(**LOUD), None, True),
        (pod(**QUIET), None, False),
        # the image of a static pod
        (pod(metadata=MIRROR), LOUD, False),
        (pod(metadata=MIRROR, **LOUD), UNSET, False),
        # a projected token, whatever is switched off
        (pod(**QUIET, **projected()), QUIET, True),
        (pod(**QUIET, **projected(audience="vault")), QUIET, False),
        (pod(**QUIET, **projected(audience="https://kubernetes.default.svc.cluster.local")), QUIET, True),
        (pod(**projected(audience="sts.amazonaws.com")), UNSET, True),
        # every container has something at the token's place
        (pod(mounted(), volumes=[{"name": "v", "emptyDir": {}}]), LOUD, False),
        (pod(mounted(), {"name": "other"}, volumes=[{"name": "v", "emptyDir": {}}]), LOUD, True),
        (pod(mounted(), initContainers=[{"name": "i"}], volumes=[{"name": "v", "emptyDir": {}}]), UNSET, True),
        (pod(mounted(), ephemeralContainers=[{"name": "e"}], volumes=[{"name": "v", "emptyDir": {}}]), UNSET, False),
        (pod(mounted(path=f"{MOUNT_PATH}/x"), volumes=[{"name": "v", "emptyDir": {}}]), UNSET, True),
        # a Secret there is a token, as older clusters mounted it
        (pod(mounted(), **QUIET, volumes=[{"name": "v", "secret": {"secretName": "app-token-x"}}]), QUIET, True),
        (pod(mounted(path="/s"), **QUIET, volumes=[{"name": "v", "secret": {"secretName": "s"}}]), QUIET, False),
        # what was admitted shows what it holds
        (pod(metadata=ADMITTED), LOUD, False),
        (pod(metadata=ADMITTED, **projected()), QUIET, True),
    ],
)
def test_tokens_of_pods(manifest, account, answer):
    assert holds_token(manifest, account) is answer


def test_a_template_is_judged_by_rule_though_its_workload_was_admitted():
    manifest = {"kind": "Deployment", "metadata": {"name": "w", "uid": "u"}, "spec": {"template": pod()}}
    for form in (manifest, read(Deployment, manifest)):
        assert holds_token(form, LOUD) is True
        assert holds_token(form, QUIET) is False
        assert holds_token(form) is None


@pytest.mark.parametrize(
    ("audience", "answer"),
    [(None, True), ("", True), ("https://kubernetes.default.svc", True), ("api://AzureADTokenExchange", False)],
)
def test_audiences(audience, answer):
    assert for_api_server(audience) is answer
