"""What lies around roles and bindings and decides where a permission leads: ServiceAccounts, pods, namespaces, nodes."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from auditkit.analysis import flags
from auditkit.analysis.objects import Objects
from auditkit.analysis.owners import MAKERS
from auditkit.analysis.podsecurity import effective
from auditkit.analysis.tokens import MIRROR, holds_token
from auditkit.kinds import Kind
from auditkit.kinds.certificates import Secret
from auditkit.kinds.platform import ConfigMap, Namespace, Node, ServiceAccount
from auditkit.kinds.pods import PodSpec
from auditkit.kinds.workloads import Pod

SURROUNDINGS: tuple[type[Kind], ...] = (ServiceAccount, Namespace, Node, Pod, ConfigMap, Secret, *MAKERS)

# Parts of a node's files that give the node away: its keys, the tokens of its pods, its container runtime.
_KEYS = ("/etc/kubernetes", "/var/lib/kubelet/pods", "/run/containerd", "/run/crio", "/run/docker.sock")
# kubeadm's, the one that it set before 1.24, and that of RKE.
CONTROL_PLANE = tuple(f"node-role.kubernetes.io/{role}" for role in ("control-plane", "master", "controlplane"))
_TOKEN = "kubernetes.io/service-account-token"


@dataclass(frozen=True, kw_only=True, slots=True)
class RunningPod:
    """A pod that has not ended. `token`: its ServiceAccount's is in it; `root`: it holds its node, or its keys;
    `static`: its kubelet reads it from a file."""

    namespace: str
    name: str
    account: str
    node: str
    token: bool
    root: bool
    static: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenSecret:
    """A Secret that holds a token of a ServiceAccount."""

    namespace: str
    name: str
    account: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Surroundings:
    """The facts of one cluster; None is not known.

    `levels`: namespace -> the Pod Security level that its labels enforce, None where they leave it to the
    cluster's default. `makers`: (namespace, plural) of the workload controllers that there are.
    `aws_auth`: ConfigMap kube-system/aws-auth exists (it maps AWS identities to groups). `minor`: of the server.
    """

    accounts: frozenset[tuple[str, str]] | None = None
    levels: Mapping[str, str | None] | None = None
    pods: tuple[RunningPod, ...] | None = None
    makers: frozenset[tuple[str, str]] | None = None
    tokens: tuple[TokenSecret, ...] | None = None
    control_plane: frozenset[str] | None = None
    aws_auth: bool = False
    minor: int | None = None

    @classmethod
    def from_objects(
        cls,
        objects: Objects,
        *,
        unread: Collection[type[Kind]] | None = None,
        version: str | None = None,
    ) -> "Surroundings":
        """From objects by kind; `unread` were not completely collected. Where that is not said, a kind without objects is not known."""

        def known(*kinds: type[Kind]) -> bool:
            return any(objects[k] for k in kinds) if unread is None else not any(k in unread for k in kinds)

        accounts = {(account.namespace, account.name): account for account in objects[ServiceAccount]}
        # A capture may read Secrets of one type only, with TLS certificates: that says nothing of tokens.
        listed = any(secret.type != "kubernetes.io/tls" for secret in objects[Secret])
        nodes = frozenset(n.name for n in objects[Node] if any(label in n.labels for label in CONTROL_PLANE))
        return cls(
            accounts=frozenset(accounts) if known(ServiceAccount) else None,
            levels={n.name: _level(n) for n in objects[Namespace]} if known(Namespace) else None,
            pods=tuple(_pods(objects[Pod], accounts)) if known(Pod) else None,
            makers=frozenset((o.namespace, k.plural) for k in MAKERS for o in objects[k]) if known(*MAKERS) else None,
            tokens=tuple(_tokens(objects[Secret])) if known(Secret) and listed else None,
            control_plane=nodes if known(Node) else None,
            aws_auth=any((m.namespace, m.name) == ("kube-system", "aws-auth") for m in objects[ConfigMap]),
            minor=flags.minor(version),
        )


def _level(namespace: Namespace) -> str | None:
    enforce = effective(namespace.labels).enforce
    return enforce.level if enforce.labelled else None


def _pods(pods: Iterable[Pod], accounts: Mapping[tuple[str, str], ServiceAccount]) -> Iterator[RunningPod]:
    """A token that only an unknown ServiceAccount could withhold counts as held."""
    for pod in pods:
        spec = pod.spec or PodSpec()
        account = spec.service_account_name or spec.service_account or "default"
        if not pod.status or pod.status.phase not in ("Succeeded", "Failed"):
            yield RunningPod(
                namespace=pod.namespace,
                name=pod.name,
                account=account,
                node=spec.node_name or "",
                token=holds_token(pod, accounts.get((pod.namespace, account))) is not False,
                root=_holds_node(spec),
                static=MIRROR in pod.annotations,
            )


def _holds_node(spec: PodSpec) -> bool:
    containers = (*(spec.containers or ()), *(spec.init_containers or ()), *(spec.ephemeral_containers or ()))
    privileged = any(c.security_context and c.security_context.privileged for c in containers)
    return privileged or any(_gives_node(v.host_path.path) for v in spec.volumes or () if v.host_path)


def _gives_node(path: str) -> bool:
    """Whether a hostPath lies on the way to one of _KEYS, or within it; /var/run is /run."""
    here = PurePosixPath(path.replace("/var/run", "/run", 1) if path.startswith("/var/run") else path)
    return any(here.is_relative_to(key) or PurePosixPath(key).is_relative_to(here) for key in _KEYS)


def _tokens(secrets: Iterable[Secret]) -> Iterator[TokenSecret]:
    for secret in secrets:
        if secret.type == _TOKEN:
            account = secret.annotations.get("kubernetes.io/service-account.name", "")
            yield TokenSecret(namespace=secret.namespace, name=secret.name, account=account)
