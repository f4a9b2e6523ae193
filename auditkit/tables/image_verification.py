"""What verifies at admission where an image comes from: policies of known engines, and the API server's own plugin."""

from collections.abc import Iterator
from typing import Annotated, Any

import pandas as pd

from auditkit.analysis.selectors import every
from auditkit.analysis.webhooks import engine_of
from auditkit.capture.snapshot import Objects
from auditkit.declare import table, view
from auditkit.kinds.admission import MutatingWebhookConfiguration, ValidatingWebhookConfiguration
from auditkit.kinds.policies import (
    CelPolicySpec,
    ClusterImagePolicy,
    ClusterImagePolicySpec,
    ImageValidatingPolicy,
    KyvernoClusterPolicy,
    KyvernoPolicy,
    KyvernoSpec,
    NamespacedImageValidatingPolicy,
)

# Engines that do nothing but verify images, and are called by a webhook.
VERIFIERS = ("connaisseur", "portieris")


class _Verification:
    namespace: Annotated[str, "Namespace; empty for what is cluster-scoped."]
    kind: Annotated[str, "Kind of the object."]
    name: Annotated[str, "Name of the object."]
    engine: Annotated[str, "kubernetes, kyverno, sigstore, connaisseur or portieris; `none` where there is none."]
    enforces: Annotated[bool | None, "Refuses images that it cannot verify; missing where the snapshot cannot tell."]


@table(
    "image_policies",
    kinds=(
        ClusterImagePolicy,
        KyvernoClusterPolicy,
        KyvernoPolicy,
        ImageValidatingPolicy,
        NamespacedImageValidatingPolicy,
        ValidatingWebhookConfiguration,
        MutatingWebhookConfiguration,
    ),
    key=("namespace", "kind", "name"),
)
class ImagePolicyRow(_Verification):
    """One row per policy that verifies images, and per webhook configuration of an engine that does nothing else.

    What such a webhook asks for is in the engine's own configuration: where it fails closed, that is missing.
    """

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        for image in objects[ClusterImagePolicy]:
            yield ("", image.kind, image.name, "sigstore", _sigstore(image.spec or ClusterImagePolicySpec()))
        kyverno: list[KyvernoClusterPolicy | KyvernoPolicy] = [*objects[KyvernoClusterPolicy], *objects[KyvernoPolicy]]
        for policy in kyverno:
            actions = _kyverno(policy.spec or KyvernoSpec())
            if actions:
                yield (policy.namespace, policy.kind, policy.name, "kyverno", every(actions))
        cel: list[ImageValidatingPolicy | NamespacedImageValidatingPolicy] = [
            *objects[ImageValidatingPolicy],
            *objects[NamespacedImageValidatingPolicy],
        ]
        for one in cel:
            yield (one.namespace, one.kind, one.name, "kyverno", _cel(one.spec or CelPolicySpec()))
        configurations: list[ValidatingWebhookConfiguration | MutatingWebhookConfiguration] = [
            *objects[ValidatingWebhookConfiguration],
            *objects[MutatingWebhookConfiguration],
        ]
        for configuration in configurations:
            hooks = [hook for hook in configuration.webhooks or () if engine_of(hook) in VERIFIERS]
            if hooks:
                ignored = any(hook.failure_policy == "Ignore" for hook in hooks)
                yield ("", configuration.kind, configuration.name, engine_of(hooks[0]), False if ignored else None)


def _sigstore(spec: ClusterImagePolicySpec) -> bool | None:
    """One authority is enough, and a static one that passes verifies nothing (policy.sigstore.dev ClusterImagePolicy)."""
    if any(a.static and a.static.action == "pass" for a in spec.authorities or ()):
        return False
    return {"enforce": True, "warn": False}.get(spec.mode or "enforce")


def _cel(spec: CelPolicySpec) -> bool:
    """Deny where no action is said, at admission unless that is switched off (policies.kyverno.io v1)."""
    admission = spec.evaluation.admission if spec.evaluation else None
    idle = admission is not None and admission.enabled is False
    return not idle and "Deny" in (spec.validation_actions or ("Deny",))


def _kyverno(spec: KyvernoSpec) -> list[bool | None]:
    """What each verifyImages does; where it says nothing, what the policy says, and that is Audit by default."""
    verifies = [v for rule in spec.rules or () for v in rule.verify_images or ()]
    if not verifies:
        return []
    default = spec.validation_failure_action or "Audit"
    said = [
        *(v.failure_action or default for v in verifies),
        *(str(one.action) for one in spec.validation_failure_action_overrides or ()),
    ]
    known: dict[str, bool] = {"Enforce": True, "Audit": False}
    return [False if spec.admission is False else known.get(action.capitalize()) for action in said]


@view("image_verification", key=("namespace", "kind", "name"))
class ImageVerification(_Verification):
    """The rows of `image_policies` and API servers with the plugin ImagePolicyWebhook; one for the cluster where none is.

    Without any, nothing verifies images, unless the API server is not seen or a validating webhook of another engine
    decides about pods.
    """

    @staticmethod
    def frame(
        image_policies: pd.DataFrame, webhooks: pd.DataFrame, apiservers: pd.DataFrame, origin: pd.DataFrame
    ) -> pd.DataFrame:
        plugged = apiservers[apiservers.image_policy_webhook.fillna(False)]
        place = plugged[["namespace", "kind", "name"]].drop_duplicates().assign(engine="kubernetes", enforces=True)
        found = pd.concat([image_policies, place.astype(image_policies.dtypes)], ignore_index=True)
        if not found.empty:
            return found
        validating = webhooks.on_pods & (webhooks.kind == "ValidatingWebhookConfiguration")
        others = validating & ~webhooks.engine.isin(["kyverno", "sigstore"])
        hidden = apiservers.image_policy_webhook.isna().any() or apiservers.empty or others.any()
        cluster = {"namespace": "", "kind": "Cluster", "name": origin.cluster[0], "engine": "none"}
        return pd.DataFrame([cluster | {"enforces": pd.NA if hidden else False}])
