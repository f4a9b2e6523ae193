"""What a policy does to the objects of one namespace, and how several policies add up."""

from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Literal

from auditkit import kinds
from auditkit.analysis.selectors import every, some
from auditkit.analysis.webhooks import covers, engine_of, in_reach, skips_objects
from auditkit.kinds.admission import ValidatingWebhookConfiguration
from auditkit.kinds.platform import Namespace

# enforced: refuses what violates it; audited: reports or warns; exempt: leaves the namespace out, by name, exception or
# webhook; elsewhere: is meant for other namespaces, or objects without one. None: a label of objects or a condition
# decides, which a snapshot does not evaluate.
Effect = Literal["enforced", "audited", "exempt", "elsewhere"] | None

# Plurals by kind; where two groups have a kind of one name, of both.
PLURALS: Mapping[str, frozenset[str]] = MappingProxyType(
    {kind.kind: frozenset(k.plural for k in kinds.ALL if k.kind == kind.kind) for kind in kinds.ALL}
)
# Kinds without a namespace. A Namespace is one of them, but every engine matches it as if it were in itself.
CLUSTER_WIDE = frozenset(k.kind for k in kinds.ALL if not k.namespaced) - {"Namespace"}
CLUSTER_RESOURCES = frozenset(k.plural for k in kinds.ALL if not k.namespaced) - {"namespaces", "*"}


def listed(name: str, patterns: Iterable[str]) -> bool:
    """Whether a name is one of these, where `*` stands for any letters."""
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def by_action(action: str | None) -> Effect:
    """What an action does, by any engine's word for it; None where none has the word."""
    match (action or "").lower():
        case "enforce" | "deny":
            return "enforced"
        case "audit" | "warn" | "dryrun":
            return "audited"
    return None


def reached(effect: Effect, *, aimed: bool | None, reach: bool | None) -> Effect:
    """What is left of an effect where a policy is meant for the namespace (`aimed`), and reaches it after all it leaves out."""
    if aimed is False:
        return "elsewhere"
    return effect if reach else "exempt" if reach is False else None


def called(
    configurations: Iterable[ValidatingWebhookConfiguration], engine: str, about: Sequence[str], namespace: Namespace
) -> bool | None:
    """Whether a webhook of the engine is called when an object of these kinds (none: any) is made in a namespace.

    None where match conditions or labels of objects decide.
    """
    plurals = [plural for kind in about for plural in PLURALS.get(kind, (f"{kind.lower()}s",))]
    hooks = [hook for one in configurations for hook in one.webhooks or () if engine_of(hook) == engine]
    return some(
        every([in_reach(hook, namespace), True if skips_objects(hook) is False else None])
        for hook in hooks
        if not plurals or "*" in about or any(covers(hook.rules, "CREATE", None, plural) for plural in plurals)
    )


def at_admission(effect: Effect, call: bool | None, *, scanned: bool) -> Effect:
    """The effect where an engine's webhook is called, is not, or may be: without it at most a later scan reports."""
    if effect not in ("enforced", "audited", None) or call:
        return effect
    if effect == "audited" and scanned:
        return effect
    if call is None or effect is None:
        return None
    return "audited" if scanned else "exempt"


def together(effects: Iterable[Effect]) -> Effect:
    """The state of an engine in a namespace: one policy that enforces is enough, one that may leaves it open."""
    found = set(effects)
    order: tuple[Effect, ...] = ("enforced", None, "audited", "exempt")
    return next((effect for effect in order if effect in found), "elsewhere")
