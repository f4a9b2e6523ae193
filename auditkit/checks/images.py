"""Where images come from, and whether what runs is what was declared."""

import pandas as pd

from auditkit.analysis.images import allowed
from auditkit.declare import check


@check("IMG-01", severity="medium")
def mutable_tag(images: pd.DataFrame) -> pd.Series:
    """Images are named by a digest, or by a tag other than latest.

    `latest`, or no tag at all, gives another image tomorrow without a change that anybody approved.

    Fix: name a version, or better a digest. A reference that no runtime accepts is undetermined.
    """
    return images["mutable"]


@check("IMG-02", severity="low")
def pinned(images: pd.DataFrame) -> pd.Series:
    """Images are named by their digest.

    A tag can be moved to another image by whoever may push to the registry.

    Fix: write `image@sha256:...`, as most build and deployment tools can.
    """
    return images["digest"].isna().astype("boolean").mask(~images["valid"])


@check("IMG-03", severity="low")
def pulled_always(images: pd.DataFrame) -> pd.Series:
    """Images named by latest, or by no tag, are pulled at every start.

    A node that keeps an old image runs it under the name of the new one, and lets pods use an image that they have
    no right to pull. Where no policy is set Kubernetes sets Always for such names
    (k8s.io/kubernetes pkg/apis/core/v1/defaults.go SetDefaults_Container).

    Fix: set `imagePullPolicy: Always`, or name a version or a digest.
    """
    kept = (images.pull_policy.fillna("Always") != "Always").astype("boolean")
    return (images.mutable & kept).mask(~images.valid)


@check("IMG-04", severity="medium")
def allowed_registries(images: pd.DataFrame, *, registries: tuple[str, ...] = ()) -> pd.Series:
    """Images come from approved registries.

    Whoever runs a registry decides what its names hold. Which are approved is the entity's decision: until
    `registries` of the engagement names them, every image is undetermined.

    Fix: copy the image to an approved registry, or approve its own.
    """
    under = {text: allowed(text, registries) for text in images.reference.dropna().unique()} if registries else {}
    return ~images.reference.map(under).astype("boolean")


@check("IMG-05", severity="low")
def served_registry(images: pd.DataFrame) -> pd.Series:
    """No image comes from k8s.gcr.io or what lies behind it.

    Kubernetes froze that registry in April 2023: no fix arrives there, and one day nothing can be pulled.

    Fix: name the image at registry.k8s.io.
    """
    host, path = images.registry.str.lower().str.removesuffix(":443"), images.repository
    behind = host.str.fullmatch(r"(.+\.)?gcr\.io") & path.str.match(r"(google[_-]containers|k8s-artifacts-prod)/")
    return (host == "k8s.gcr.io") | behind


@check("IMG-08", severity="medium")
def provenance(image_verification: pd.DataFrame) -> pd.Series:
    """A policy verifies images at admission, and each that does refuses what fails.

    An image that nobody signed may be from anybody. Read are ClusterImagePolicies, verifyImages and
    ImageValidatingPolicies of Kyverno, webhooks of Connaisseur and Portieris, and the plugin ImagePolicyWebhook; which
    images they are about, and the keys, a reviewer reads.

    Fix: set the policy to enforce (`mode: enforce`, `failureAction: Enforce`), or add one.
    """
    return ~image_verification.enforces


@check("IMG-09", severity="high")
def reported_vulnerabilities(vulnerability_reports: pd.DataFrame) -> pd.Series:
    """Scanned images have no critical and no high vulnerability.

    What a scanner knows an intruder knows too. Counted are all findings of a report, also those without a
    correction yet; how long one may stay open is the entity's rule. Read are the reports of trivy-operator and the summaries
    of Kubescape. None in an image whose distribution is no longer supported (EOSL) is undetermined: nobody publishes them.

    Fix: build the image anew on a corrected base, or update the package; `kubectl describe` of the report names it.
    """
    found = (vulnerability_reports.critical > 0) | (vulnerability_reports.high > 0)
    return found.mask(~found.fillna(False) & ~vulnerability_reports.whole)


@check("IMG-10", severity="medium")
def runs_what_is_named(running_images: pd.DataFrame) -> pd.Series:
    """Pods of one workload run one image under one name, and the digest that the spec names.

    A tag that was moved lets old and new pods of a workload run different software without a change to it. An index
    of several architectures has one digest on every node; a digest that the nodes do not report is undetermined.

    Fix: name the image by its digest and roll the workload out again.
    """
    return running_images.different


@check("IMG-11", severity="high")
def known_vulnerable(known_components: pd.DataFrame) -> pd.Series:
    """No component has a version that is known to be vulnerable.

    These are components that a cluster itself rests on, and few: a scanner of images knows all others. A tag that is
    no full version, and a packager's own build, may hold the correction: undetermined.

    Fix: update the component; `cves` of the row names what was published.
    """
    return known_components.vulnerable


@check("IMG-70", severity="high")
def allowed_prefixes(allowed_repos: pd.DataFrame) -> pd.Series:
    """Prefixes of allowed images end where the name of a registry or repository ends.

    A constraint of Gatekeeper that lists allowed images compares their beginning: `registry.example.com` also admits
    registry.example.com.evil.example/app. What the template of another kind than K8sAllowedRepos does with the list is not read:
    undetermined.

    Fix: end each entry of `parameters.repos` with `/`, or name the whole repository with its tag or digest.
    """
    loose = allowed_repos.ambiguous.str.len() > 0
    return loose.astype("boolean").mask(loose & (allowed_repos.kind != "K8sAllowedRepos"))
