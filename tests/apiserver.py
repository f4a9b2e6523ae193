"""A local API server that answers from a dump as the recorded one did: paged at any limit, with faults on demand."""

import base64
import gzip
import json
import math
import re
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit

import yaml

TOKEN = "token-of-the-collector"
# gzip handler of k8s.io/apiserver (defaultGzipThresholdBytes): smaller answers go as they are.
GZIP_FROM = 128 * 1024
DISCOVERY = {"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}}
REASONS = {400: "BadRequest", 401: "Unauthorized", 403: "Forbidden", 404: "NotFound", 410: "Expired"}

Do = Literal["answer", "truncate", "cut", "drop", "wait", "malform", "shift", "repeat", "promise", "other", "login"]


@dataclass
class Fault:
    """What happens to `times` requests whose "METHOD path?query" matches the regular expression `to`, not to the first `after`.

    `status` answers with an error; `do` "truncate" sends half the body and hangs up, "cut" sends half as if it were
    whole, "drop" hangs up unanswered, "wait" answers after `seconds`, "malform" breaks the first item, "shift"
    changes the resourceVersion, "repeat" gives the same continue token again, "promise" announces five objects too many, "other" sends a document of another kind,
    "login" a page for people.
    """

    to: str = ""
    status: int = 0
    do: Do = "answer"
    times: float = math.inf
    after: int = 0
    retry_after: int | None = None
    seconds: float = 0.0


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    at: float


@dataclass
class Status(Exception):
    code: int
    message: str
    continue_: str = ""


@dataclass
class ApiServer:
    """The state of a dump folder, who may list what (`role`, a ClusterRole; None is everything), and what went on."""

    dump: Path
    faults: list[Fault] = field(default_factory=list)
    role: dict[str, Any] | None = None
    denied: tuple[str, ...] = ()
    aggregated: bool = True
    requests: list[Request] = field(default_factory=list)
    url: str = ""

    def __post_init__(self) -> None:
        recorded = json.loads((self.dump / "recorded-as").read_text())
        self.date = format_datetime(datetime.fromisoformat(recorded["server_time"]), usegmt=True)
        self.discovery = [
            group
            for name in ("api", "apis")
            for group in json.loads((self.dump / f"discovery-aggregated-{name}.json").read_text())["items"]
        ]
        self.lock = threading.Lock()

    def asked(self, pattern: str) -> list[Request]:
        return [r for r in self.requests if re.search(pattern, r.path)]

    def kubeconfig(self, folder: Path, *, context: str = "northwind", token: str = TOKEN, url: str = "") -> Path:
        """A kubeconfig with one context and a bearer token."""
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": context,
            "clusters": [{"name": "northwind-prod", "cluster": {"server": url or self.url}}],
            "users": [{"name": "collector", "user": {"token": token}}],
            "contexts": [{"name": context, "context": {"cluster": "northwind-prod", "user": "collector"}}],
        }
        path = folder / "kubeconfig"
        path.write_text(yaml.safe_dump(content))
        return path

    def allows(self, verb: str, group: str, resource: str, name: str = "") -> bool:
        if f"{resource}.{group}".rstrip(".") in self.denied:
            return False
        return self.role is None or any(
            group in rule["apiGroups"]
            and {resource, "*"} & set(rule["resources"])
            and verb in rule["verbs"]
            and (not rule.get("resourceNames") or name in rule["resourceNames"])
            for rule in self.role["rules"]
        )

    def fault(self, request: str) -> Fault:
        with self.lock:
            for fault in self.faults:
                if fault.times > 0 and re.search(fault.to, request):
                    if fault.after:
                        fault.after -= 1
                        continue
                    fault.times -= 1
                    return fault
        return Fault()

    def answer(self, method: str, path: str, query: dict[str, str], accept: str, body: bytes) -> bytes:
        """The body of a successful answer; raises Status."""
        match [part for part in path.split("/") if part]:
            case ["version"]:
                return (self.dump / "version.json").read_bytes()
            case ["api" | "apis" as name]:
                if not (self.aggregated and accepted(accept, "APIGroupDiscoveryList") == "v2"):
                    return (self.dump / f"discovery-{name}.json").read_bytes()
                return encoded({**DISCOVERY, "items": self.discovery[:1] if name == "api" else self.discovery[1:]})
            case ["apis", "authentication.k8s.io", "v1", "selfsubjectreviews"] if method == "POST":
                return (self.dump / "selfsubjectreview.json").read_bytes()
            case ["apis", "authorization.k8s.io", "v1", "selfsubjectaccessreviews"] if method == "POST":
                asked = json.loads(body)["spec"]["resourceAttributes"]
                allowed = self.allows(asked["verb"], asked.get("group", ""), asked["resource"])
                return encoded({"kind": "SelfSubjectAccessReview", "status": {"allowed": allowed}})
            case ["api", "v1"]:
                return self.resources("", "v1")
            case ["apis", group, version]:
                return self.resources(group, version)
            case ["api", "v1", "namespaces", name]:
                return self.one("namespaces", name)
            case ["api", "v1", resource]:
                return self.page("", "v1", resource, query, accept)
            case ["apis", group, version, resource]:
                return self.page(group, version, resource, query, accept)
        raise Status(404, "the server could not find the requested resource")

    def compressed(self, body: bytes) -> bytes:
        return gzip.compress(body, 1)

    def resources(self, group: str, version: str) -> bytes:
        """The APIResourceList of one group and version, out of aggregated discovery."""
        for item in self.discovery:
            for served in item["versions"]:
                if (item["metadata"].get("name", ""), served["version"]) == (group, version):
                    if served["freshness"] == "Stale":
                        raise Status(503, "service unavailable")
                    found = [
                        {
                            "name": r["resource"],
                            "kind": r["responseKind"]["kind"],
                            "namespaced": r["scope"] == "Namespaced",
                            "verbs": r["verbs"],
                        }
                        for r in served["resources"]
                    ]
                    name = f"{group}/{version}" if group else version
                    return encoded({"kind": "APIResourceList", "groupVersion": name, "resources": found})
        raise Status(404, "404 page not found")

    def one(self, resource: str, name: str) -> bytes:
        if not self.allows("get", "", resource, name):
            raise forbidden("get", "", resource)
        items = json.loads((self.dump / f"{resource}.core.json").read_text())["items"]
        return encoded(next(item for item in items if item["metadata"]["name"] == name))

    def page(self, group: str, version: str, resource: str, query: dict[str, str], accept: str) -> bytes:
        if not self.allows("list", group, resource):
            raise forbidden("list", group, resource)
        path = self.dump / f"{resource}.{group or 'core'}.json"
        if not path.exists():
            raise Status(404, "404 page not found")
        raw = path.read_bytes()
        whole = json.loads(raw)
        if whole["apiVersion"].rpartition("/")[2] != version:
            raise Status(404, "404 page not found")
        selector = query.get("fieldSelector", "")
        items = [item for item in whole["items"] if selected(item, selector)]
        start, limit = offset(query.get("continue", "")), int(query.get("limit", 0)) or len(items)
        partial = accepted(accept, "PartialObjectMetadataList") == "v1"
        if start == 0 and limit >= len(whole["items"]) and not selector and not partial:
            return raw
        meta = {k: v for k, v in whole["metadata"].items() if k == "resourceVersion"}
        if rest := len(items[start + limit :]):
            meta["continue"] = token(start + limit)
            # remainingItemCount is unset where selectors are used (k8s.io/apimachinery ListMeta).
            meta |= {} if selector else {"remainingItemCount": rest}
        shown = items[start : start + limit]
        if partial:
            head = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1"}
            shown = [{**head, "metadata": item["metadata"]} for item in shown]
            return encoded(
                {"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1", "metadata": meta, "items": shown}
            )
        return encoded({**whole, "metadata": meta, "items": shown})


def encoded(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def accepted(accept: str, as_: str) -> str:
    """The version in which the client accepts `as=...`; empty where it does not."""
    for clause in accept.split(","):
        parameters = dict(part.partition("=")[::2] for part in clause.split(";")[1:])
        if parameters.get("as") == as_ and parameters.get("v") in ("v1", "v2"):
            return parameters["v"]
    return ""


def selected(item: dict[str, Any], selector: str) -> bool:
    """fieldSelector of Secrets: `type=x` and `type!=x`, joined by commas."""
    for term in filter(None, selector.split(",")):
        name, operator, value = re.fullmatch(r"([\w.]+)(!=|==?)(.*)", term).groups()  # type: ignore[union-attr]
        if name != "type":
            raise Status(400, f"field label not supported: {name}")
        if (item["type"] == value) != (operator != "!="):
            return False
    return True


def token(start: int) -> str:
    return base64.urlsafe_b64encode(encoded({"v": "meta.k8s.io/v1", "start": start})).decode().rstrip("=")


def offset(token: str) -> int:
    if not token:
        return 0
    try:
        return int(json.loads(base64.urlsafe_b64decode(token + "=="))["start"])
    except ValueError as error:
        raise Status(400, f"invalid continue token: {error}") from None


def forbidden(verb: str, group: str, resource: str) -> Status:
    return Status(
        403,
        f'{resource} is forbidden: User "collector" cannot {verb} resource "{resource}" in API group "{group}" at the cluster scope',
    )


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: "Listener"

    def do_GET(self) -> None:
        api = self.server.api
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        api.requests.append(Request(self.command, parts.path, query, headers, time.monotonic()))
        fault = api.fault(f"{self.command} {self.path}")
        if fault.do == "wait":
            time.sleep(fault.seconds)
        if fault.do == "drop":
            self.hang_up()
            return
        try:
            if headers.get("authorization") != f"Bearer {TOKEN}":
                raise Status(401, "Unauthorized")
            if fault.status:
                raise Status(fault.status, "told to fail", token(0) if fault.status == 410 else "")
            answer = api.answer(self.command, parts.path, query, headers.get("accept", ""), body)
        except Status as status:
            self.send(status.code, encoded(status_body(status)), fault)
        else:
            self.send(201 if self.command == "POST" else 200, altered(answer, fault), fault)

    def do_POST(self) -> None:
        self.do_GET()

    def send(self, code: int, body: bytes, fault: Fault) -> None:
        self.send_response_only(code)
        self.send_header("Date", self.server.api.date)
        self.send_header("Content-Type", "application/json")
        if fault.retry_after is not None:
            self.send_header("Retry-After", str(fault.retry_after))
        if len(body) >= GZIP_FROM and "gzip" in self.headers.get("Accept-Encoding", ""):
            self.send_header("Content-Encoding", "gzip")
            body = self.server.api.compressed(body)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if fault.do == "truncate":
            self.wfile.write(body[: len(body) // 2])
            self.hang_up()
        else:
            self.wfile.write(body)

    def hang_up(self) -> None:
        # SO_LINGER 0 makes close() a reset, as of a server that died.
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet: the requests are in `ApiServer.requests`."""


def status_body(status: Status) -> dict[str, Any]:
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {"continue": status.continue_} if status.continue_ else {},
        "status": "Failure",
        "message": status.message,
        "reason": REASONS.get(status.code, "InternalError"),
        "code": status.code,
    }


def altered(body: bytes, fault: Fault) -> bytes:
    if fault.do == "cut":
        return body[: len(body) // 2]
    if fault.do == "login":
        return b"<!DOCTYPE html><title>Sign in</title>"
    if fault.do == "other":
        return encoded({"kind": "Greeting"})
    if fault.do in ("malform", "shift", "repeat", "promise"):
        page = json.loads(body)
        if fault.do == "malform":
            page["items"][0]["metadata"]["labels"] = "not a map"
        elif fault.do == "shift":
            page["metadata"]["resourceVersion"] = "9999"
        elif fault.do == "promise":
            page["metadata"]["remainingItemCount"] += 5
        else:
            page["metadata"]["continue"] = token(0)
        return encoded(page)
    return body


class Listener(ThreadingHTTPServer):
    daemon_threads = True
    api: ApiServer

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is part of the tests."""


@contextmanager
def serving(api: ApiServer) -> Iterator[ApiServer]:
    """`api` on a free port of the loopback while the block runs."""
    with Listener(("127.0.0.1", 0), Handler) as listener:
        listener.api = api
        api.url = f"http://127.0.0.1:{listener.server_address[1]}"
        thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield api
        finally:
            listener.shutdown()
            thread.join()
