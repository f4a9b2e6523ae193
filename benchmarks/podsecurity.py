"""How long the Pod Security Standards take on 50,000 pods x 2 levels, beside parsing the same pods from JSON twice."""

import gc
import json
from time import process_time

import msgspec

from auditkit.analysis.podsecurity import violations
from auditkit.kinds.workloads import Pod

PODS = 50_000
GOOD = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "runAsNonRoot": True,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}


def container(name: str, number: int) -> dict:
    return {
        "name": name,
        "image": f"registry.example/team/{name}:1.{number}",
        "imagePullPolicy": "IfNotPresent",
        "ports": [{"name": "http", "containerPort": 8080, "protocol": "TCP"}],
        "env": [{"name": f"SETTING_{i}", "value": str(i)} for i in range(6)],
        "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "256Mi"}},
        "livenessProbe": {"httpGet": {"path": "/live", "port": 8080, "scheme": "HTTP"}, "periodSeconds": 10},
        "readinessProbe": {"httpGet": {"path": "/ready", "port": 8080, "scheme": "HTTP"}, "periodSeconds": 10},
        "volumeMounts": [
            {
                "name": "kube-api-access-x",
                "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount",
                "readOnly": True,
            }
        ],
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
        **({"securityContext": GOOD} if number % 2 else {}),
    }


def pod(number: int) -> dict:
    """A pod as an API server serves it: a sidecar, probes, a token volume, conditions and statuses."""
    names = ("migrate", "app", "proxy")
    status = [
        {"name": name, "image": name, "imageID": f"{name}@sha256:{number:064x}", "ready": True, "restartCount": 0,
         "started": True, "containerID": f"containerd://{number:064x}", "state": {"running": {"startedAt": "2026-10-31T06:00:00Z"}}}
        for name in names
    ]  # fmt: skip
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": f"app-{number}",
            "namespace": f"team-{number % 50}",
            "uid": f"{number:036d}",
            "resourceVersion": str(number),
            "creationTimestamp": "2026-10-31T06:00:00Z",
            "labels": {"app": "app", "pod-template-hash": "6d4cf56db6"},
            "ownerReferences": [
                {
                    "apiVersion": "apps/v1",
                    "kind": "ReplicaSet",
                    "name": "app-6d4cf56db6",
                    "uid": "u",
                    "controller": True,
                }
            ],
        },
        "spec": {
            "initContainers": [container("migrate", number)],
            "containers": [container("app", number), container("proxy", number)],
            "securityContext": {"fsGroup": 1000} if number % 3 else {"runAsNonRoot": True, "runAsUser": 1000},
            "volumes": [
                {"name": "tmp", "emptyDir": {}},
                {"name": "config", "configMap": {"name": "app", "defaultMode": 420}},
                {
                    "name": "kube-api-access-x",
                    "projected": {
                        "defaultMode": 420,
                        "sources": [
                            {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
                            {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
                        ],
                    },
                },
            ],
            "serviceAccountName": "app",
            "nodeName": f"node-{number % 200}",
            "restartPolicy": "Always",
            "schedulerName": "default-scheduler",
            "tolerations": [
                {
                    "key": "node.kubernetes.io/not-ready",
                    "operator": "Exists",
                    "effect": "NoExecute",
                    "tolerationSeconds": 300,
                }
            ],
        },
        "status": {
            "phase": "Running",
            "podIP": "10.0.0.1",
            "hostIP": "10.1.0.1",
            "conditions": [
                {"type": name, "status": "True", "lastTransitionTime": "2026-10-31T06:00:00Z"}
                for name in ("Initialized", "Ready", "ContainersReady", "PodScheduled")
            ],
            "containerStatuses": status[1:],
            "initContainerStatuses": status[:1],
        },
    }


def main() -> None:
    gc.disable()  # as capture does
    raw = [msgspec.json.encode(pod(number)) for number in range(PODS)]
    decoder = msgspec.json.Decoder(Pod)
    start = process_time()
    pods = [decoder.decode(text) for text in raw]
    typed = 2 * (process_time() - start)
    start = process_time()
    for text in raw:
        json.loads(text)
    plain = 2 * (process_time() - start)
    start = process_time()
    found = sum(len(violations(one, level=level)) for one in pods for level in ("baseline", "restricted"))
    judged = process_time() - start
    print(f"{PODS:,} pods of {sum(map(len, raw)) / PODS:,.0f} bytes, {found:,} violations")
    print(f"parsed from JSON twice: {typed:.2f} s as kinds, {plain:.2f} s as dicts")
    print(f"judged at 2 levels: {judged:.2f} s")


if __name__ == "__main__":
    main()
