"""A cluster of any size, the same every time: the recorded one many times over, under new names, namespaces and uids.

`python benchmarks/cluster.py COPIES FOLDER` writes a kubeconfig there, says how large the cluster is, and
serves it on the loopback until its standard input closes.
"""

import gzip
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from apiserver import ApiServer, encoded, offset, serving, token  # noqa: E402

RECORDED = ROOT / "tests" / "recordings" / "northwind-prod" / "2026-10-31"
LIMIT = 500
# Where the number of a copy goes; the first copy has none and keeps the recorded names.
MARK = "-@@"
# Pods of a ReplicaSet for each recorded one: brings objects and bytes a pod near to those of a real cluster.
REPLICAS = 3
# What grows with a cluster of the kinds without namespace; the others are there once, as is all of kube-system.
SCALED = frozenset({"namespaces", "nodes", "persistentvolumes", "clusterroles", "clusterrolebindings", "ipaddresses"})
ONCE = "kube-system"

Object = dict[str, Any]


class Copies(ApiServer):
    """An API server with `copies` of the recorded objects, its pages encoded and compressed beforehand."""

    def __init__(self, copies: int) -> None:
        super().__init__(RECORDED)
        # "pods.core" -> the recorded List
        read = {path.stem: json.loads(path.read_bytes()) for path in sorted(RECORDED.glob("*.*.json"))}
        lists = {name: whole for name, whole in read.items() if "items" in whole}
        once, many = {}, {}
        for name, whole in lists.items():
            once[name] = [item for item in whole["items"] if not copied(name, item)]
            many[name] = [item for item in whole["items"] if copied(name, item)]
        names = marked_names(many)
        scaled = {name: list(templates(name, items, names)) for name, items in many.items()}
        self.pods = self.objects = self.size = 0
        self.pages: dict[tuple[str, int], bytes] = {}
        self.zipped: dict[bytes, bytes] = {}
        for name, whole in lists.items():
            texts = [encoded(item).decode() for item in once[name]]
            for n in range(copies):
                texts += (template.replace(MARK, f"-{n:04d}" if n else "") for template in scaled[name])
            self.keep(name, whole, texts)

    def keep(self, name: str, whole: Object, texts: list[str]) -> None:
        for start in range(0, len(texts) or 1, LIMIT):
            meta = {**whole["metadata"]}
            if rest := len(texts[start + LIMIT :]):
                meta |= {"continue": token(start + LIMIT), "remainingItemCount": rest}
            head = encoded({"kind": whole["kind"], "apiVersion": whole["apiVersion"], "metadata": meta}).decode()
            page = f'{head[:-1]},"items":[{",".join(texts[start : start + LIMIT])}]}}'.encode()
            self.pages[name, start] = page
            self.zipped[page] = gzip.compress(page, 1)
            self.size += len(page)
        self.objects += len(texts)
        self.pods += len(texts) if name == "pods.core" else 0

    def page(self, group: str, version: str, resource: str, query: dict[str, str], accept: str) -> bytes:
        # Kinds that are only counted, with limit=1, are answered from the recording.
        if query.get("limit") == str(LIMIT):
            return self.pages[f"{resource}.{group or 'core'}", offset(query.get("continue", ""))]
        return super().page(group, version, resource, query, accept)

    def compressed(self, body: bytes) -> bytes:
        return self.zipped.get(body) or super().compressed(body)


def copied(name: str, item: Object) -> bool:
    """Whether a larger cluster has more of this object."""
    meta = item["metadata"]
    if "namespace" in meta:
        return bool(meta["namespace"] != ONCE)
    stock = "kubernetes.io/bootstrapping" in meta.get("labels", {})
    return name.partition(".")[0] in SCALED and not stock and meta["name"] != ONCE


def marked_names(many: dict[str, list[Object]]) -> dict[str, set[str]]:
    """By the member that holds it, each name that differs from copy to copy."""

    def of(resource: str) -> set[str]:
        return {item["metadata"]["name"] for item in many[resource]}

    return {
        "uid": {item["metadata"]["uid"] for items in many.values() for item in items},
        "namespace": of("namespaces.core"),
        "nodeName": of("nodes.core"),
        "volumeName": of("persistentvolumes.core"),
        "roleRef": of("clusterroles.rbac.authorization.k8s.io"),
    }


def templates(name: str, items: list[Object], names: dict[str, set[str]]) -> Iterator[str]:
    """The JSON of each object with MARK in its own name or namespace and in what it refers to."""
    for item in items:
        owners = item["metadata"].get("ownerReferences", [])
        replicas = REPLICAS if name == "pods.core" and any(o["kind"] == "ReplicaSet" for o in owners) else 1
        for replica in range(replicas):
            copy = marked(item, "", names)
            meta = copy["metadata"]
            meta["uid"] = f"{replica}{meta['uid'][1:]}" if replica else meta["uid"]
            meta["name"] += (f"-{replica}" if replica else "") + ("" if "namespace" in meta else MARK)
            yield encoded(copy).decode()


def marked(value: Any, key: str, names: dict[str, set[str]]) -> Any:
    if isinstance(value, dict):
        if key == "roleRef":
            return {**value, "name": marked(value["name"], key if value["kind"] == "ClusterRole" else "", names)}
        return {k: marked(v, k, names) for k, v in value.items()}
    if isinstance(value, list):
        return [marked(v, key, names) for v in value]
    return value + MARK if isinstance(value, str) and value in names.get(key, ()) else value


def main(copies: int, folder: Path) -> None:
    with serving(Copies(copies)) as api:
        api.kubeconfig(folder)
        print(json.dumps({"pods": api.pods, "objects": api.objects, "megabytes": round(api.size / 1e6, 1)}), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
