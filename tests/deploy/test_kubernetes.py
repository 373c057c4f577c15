"""The kustomization: rendered by kubectl, validated against schemas, and read as a whole."""

from __future__ import annotations

import copy
import re
import shutil
from collections.abc import Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import jsonschema
import orchestrator
import pytest
import yaml
from orchestrator import settings
from orchestrator.core import addresses
from orchestrator.errors import SettingsError

from tests.certificates import certificate

from .kubernetes import (
    K8S,
    VERSIONS,
    Container,
    Manifests,
    enter,
    example_secrets,
    render,
    scenes,
    validate,
)

IMAGE = re.compile(
    r"[a-z0-9.-]+\.[a-z]+/[a-z0-9./-]+(:[0-9]+\.[0-9]+\.[0-9]+|@sha256:[0-9a-f]{64})"
)
"""An image with its registry and a version or a digest."""


LIVENESS = {
    "bridge": "/live",
    "worker": ["python", "-m", "tasks.probe"],
    "flower": "/healthcheck",
}
"""What asks each process only whether a restart would help."""
SELECTORS = {
    "PodDisruptionBudget": "selector",
    "PodMonitor": "selector",
    "NetworkPolicy": "podSelector",
}
"""The kinds that choose pods, each with the property that does."""


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the folder, for a kustomization refers to others by relative paths only."""
    return Path(shutil.copytree(K8S, tmp_path_factory.mktemp("deploy") / "k8s"))


@pytest.fixture(scope="module", params=list(scenes()))
def manifests(request: pytest.FixtureRequest, copied: Path) -> Manifests:
    return render(copied, request.param)


@pytest.fixture(scope="module")
def base(copied: Path) -> Manifests:
    return render(copied, "base")


@pytest.fixture(scope="module")
def pem(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What lies in a Secret of type kubernetes.io/tls."""
    folder = tmp_path_factory.mktemp("certificates")
    certificate(folder, "ca", None)
    written = {"ca.crt": "ca.pem", "tls.crt": "ca.pem", "tls.key": "ca.key"}
    return {name: (folder / file).read_text() for name, file in written.items()}


# Schemas ------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", VERSIONS)
def test_every_manifest_follows_its_schema(manifests: Manifests, version: str) -> None:
    assert manifests.documents
    for document in manifests.documents:
        validate(document, version)


@pytest.mark.parametrize("version", VERSIONS)
def test_the_example_of_secrets_follows_its_schema(version: str) -> None:
    for document in yaml.safe_load_all((K8S / "secrets.example.yaml").read_text()):
        validate(document, version)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_property_that_does_not_exist_is_found(base: Manifests, version: str) -> None:
    wrong = copy.deepcopy(base.named("Deployment", "orchestrator-bridge"))
    wrong["spec"]["template"]["spec"]["containers"][0]["livenessprobe"] = {}
    with pytest.raises(jsonschema.ValidationError, match="livenessprobe"):
        validate(wrong, version)


def test_a_property_that_the_operator_does_not_know_is_found(copied: Path) -> None:
    rendered = render(copied, "overlays/prometheus")
    wrong = copy.deepcopy(rendered.named("PodMonitor", "orchestrator-bridge"))
    wrong["spec"]["podMetricsEndpoints"][0]["pth"] = "/metrics"
    with pytest.raises(jsonschema.ValidationError, match="pth"):
        validate(wrong, VERSIONS[0])


# Names that refer to each other -------------------------------------------------------------


def test_every_selector_chooses_pods(manifests: Manifests) -> None:
    for deployment in manifests.of("Deployment"):
        assert manifests.chosen(deployment["spec"]["selector"]) == [deployment]
    sidecar = bool(manifests.of("Service"))
    for kind, field in SELECTORS.items():
        for document in manifests.of(kind):
            selector = document["spec"][field]
            if sidecar and "app.kubernetes.io/component: bridge" in yaml.safe_dump(selector):
                continue  # For bridges with pods of their own.
            assert manifests.chosen(selector), document["metadata"]["name"]


def test_every_name_of_a_port_is_one_of_a_container(manifests: Manifests) -> None:
    for container in manifests.containers():
        names = {port["name"] for port in container.spec.get("ports", [])}
        probes = [container.spec.get(probe, {}) for probe in ("livenessProbe", "readinessProbe")]
        assert {probe["httpGet"]["port"] for probe in probes if "httpGet" in probe} <= names
    for monitor in manifests.of("PodMonitor"):
        for deployment in manifests.chosen(monitor["spec"]["selector"]):
            ours = deployment["spec"]["template"]["spec"]["containers"]
            names = {port["name"] for container in ours for port in container.get("ports", [])}
            assert {
                endpoint["port"] for endpoint in monitor["spec"]["podMetricsEndpoints"]
            } <= names


def test_the_port_that_is_declared_is_the_one_that_the_bridge_opens(manifests: Manifests) -> None:
    for container in manifests.containers():
        if container.name == "bridge":
            port = manifests.variables(container)["ORCHESTRATOR_HEALTH_PORT"]
            (declared,) = container.spec["ports"]
            assert str(declared["containerPort"]) == port
            annotations = container.metadata.get("annotations", {})
            assert annotations.get("prometheus.io/port", port) == port


def test_an_autoscaler_scales_what_has_no_number_of_its_own(manifests: Manifests) -> None:
    for autoscaler in manifests.of("HorizontalPodAutoscaler"):
        target = autoscaler["spec"]["scaleTargetRef"]
        assert "replicas" not in manifests.named(target["kind"], target["name"])["spec"]


def test_every_secret_is_in_the_example_and_none_is_rendered(manifests: Manifests) -> None:
    known = example_secrets()
    assert manifests.of("Secret") == []
    for container in manifests.containers():
        assert {name for _, name in container.mounted()} <= set(known)


def test_every_secret_of_the_example_is_used(copied: Path) -> None:
    rendered = render(copied, "all/standalone")
    used = {name for container in rendered.containers() for _, name in container.mounted()}
    assert used == set(example_secrets())


# Settings -----------------------------------------------------------------------------------


def broker(variables: Mapping[str, str]) -> str:
    """The address of Redis, in the form that the settings ask for."""
    if "ORCHESTRATOR_BROKER_MASTER_NAME" in variables:
        return "sentinel://:change-me@sentinel-0:26379;sentinel://sentinel-1:26379/0"
    plain = example_secrets()["orchestrator-broker"]["url"]
    tls = variables.get("ORCHESTRATOR_BROKER_TLS") == "true"
    return plain.replace("redis://", "rediss://") if tls else plain


def test_every_process_accepts_its_settings(
    manifests: Manifests, tmp_path: Path, pem: dict[str, str]
) -> None:
    """With the secrets of the example. Whatever is no setting, or no file, is refused by name."""
    containers = manifests.containers()
    assert {"bridge", "worker"} <= {container.name for container in containers}
    for container in containers:
        files = {**pem, "url": broker(manifests.variables(container))}
        loaded = settings.read(enter(container, manifests, tmp_path / container.name, files))
        assert loaded.settings.log_format == "json"
        assert "change-me" in loaded.settings.broker_url


def test_a_process_refuses_a_setting_that_does_not_exist(base: Manifests, tmp_path: Path) -> None:
    environment = enter(base.containers()[0], base, tmp_path, {})
    with pytest.raises(SettingsError, match="ORCHESTRATOR_ETCD_ENDPOINT:"):
        settings.read(environment | {"ORCHESTRATOR_ETCD_ENDPOINT": "etcd:2379"})


def test_only_workers_get_the_credentials_of_openstack(manifests: Manifests) -> None:
    for container in manifests.containers():
        has = {name for name in manifests.variables(container) if name.startswith("OS_")}
        assert bool(has) == (container.name == "worker"), container.name
        secrets = {name for _, name in container.mounted()}
        assert ("orchestrator-openstack" in secrets) == (container.name == "worker")


def test_no_secret_stands_in_a_manifest(manifests: Manifests) -> None:
    hidden = filter(settings.hidden, settings.Settings.model_fields)
    secret = {f"ORCHESTRATOR_{name.upper()}" for name in hidden}
    secret |= {"OS_PASSWORD", "OS_TOKEN", "OS_APPLICATION_CREDENTIAL_SECRET", "FLOWER_BASIC_AUTH"}
    for container in manifests.containers():
        assert secret & set(manifests.variables(container)) == set()


# How the processes are run ------------------------------------------------------------------


def test_every_image_is_pinned_and_ours_has_the_version_of_the_project(
    manifests: Manifests,
) -> None:
    images = [
        container["image"]
        for deployment in manifests.of("Deployment")
        for container in deployment["spec"]["template"]["spec"]["containers"]
    ]
    assert [image for image in images if not IMAGE.fullmatch(image)] == []
    versions = {container.spec["image"].rpartition(":")[2] for container in manifests.containers()}
    assert versions == {orchestrator.__version__}


def test_no_probe_restarts_what_would_heal_by_itself(manifests: Manifests) -> None:
    """/health is 503 while etcd is away, and a ping over the broker fails while Redis is away."""
    for container in manifests.containers():
        if container.name == "historian":
            assert "livenessProbe" not in container.spec, (
                "it has no state that a restart would mend"
            )
            continue
        probe = container.liveness
        asked = probe["httpGet"]["path"] if "httpGet" in probe else probe["exec"]["command"]
        assert asked == LIVENESS[container.name]


def test_a_sidecar_takes_no_pod_of_its_neighbour_out_of_service(manifests: Manifests) -> None:
    for container in manifests.containers():
        if container.labels.get("orchestrator/bridge") == "sidecar":
            assert "readinessProbe" not in container.spec


def test_the_probe_of_a_worker_has_time_to_ask(base: Manifests) -> None:
    from tasks import probe

    (worker,) = (container for container in base.containers() if container.name == "worker")
    assert worker.liveness["timeoutSeconds"] >= 2 * probe.PATIENCE
    assert worker.liveness["periodSeconds"] >= worker.liveness["timeoutSeconds"]
    assert "--hostname=worker@%h" in worker.spec["command"], "the name that the probe asks for"


def restricted(container: Container) -> dict[str, Any]:
    """Those rules of the standard "restricted" that a pod may follow or a container."""
    return {**container.pod.get("securityContext", {}), **container.spec["securityContext"]}


def test_every_process_follows_the_restricted_pod_security_standard(manifests: Manifests) -> None:
    for container in manifests.containers():
        context = restricted(container)
        assert context["runAsNonRoot"] is True
        assert context["allowPrivilegeEscalation"] is False
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}
        assert context["readOnlyRootFilesystem"] is True


def test_services_give_no_variables_that_look_like_settings(manifests: Manifests) -> None:
    for container in manifests.containers():
        if container.labels.get("orchestrator/bridge") != "sidecar":
            assert container.pod["enableServiceLinks"] is False


def test_the_network_policy_leaves_out_only_addresses_that_workers_refuse(copied: Path) -> None:
    rendered = render(copied, "overlays/network-policies")
    (rule,) = rendered.named("NetworkPolicy", "orchestrator-openstack")["spec"]["egress"]
    left_out = [network for peer in rule["to"] for network in peer["ipBlock"]["except"]]
    assert "169.254.0.0/16" in left_out
    for network in left_out:
        address = ip_network(network)[-1]
        assert addresses.Rules().refusal(str(address), address), network


def test_the_historian_reaches_etcd_as_bridges_do(copied: Path) -> None:
    rendered = render(copied, "all/standalone")
    by_name = {
        container.name: {
            name: value
            for name, value in rendered.variables(container).items()
            if name.startswith("ORCHESTRATOR_ETCD_")
        }
        for container in rendered.containers()
    }
    assert by_name["historian"] == by_name["bridge"]
    assert "ORCHESTRATOR_ETCD_CA" in by_name["historian"]
    assert "ORCHESTRATOR_ETCD_PASSWORD_FILE" in by_name["historian"]


def test_only_the_historian_gets_the_database(manifests: Manifests) -> None:
    for container in manifests.containers():
        secrets = {name for _, name in container.mounted()}
        assert ("orchestrator-history" in secrets) == (container.name == "historian")


def test_the_historian_s_file_lies_on_its_volume(copied: Path) -> None:
    rendered = render(copied, "alone/historian")
    (historian,) = (c for c in rendered.containers() if c.name == "historian")
    claims = {
        volume["name"]: volume["persistentVolumeClaim"]["claimName"]
        for volume in historian.pod["volumes"]
        if "persistentVolumeClaim" in volume
    }
    places = {mount["mountPath"]: mount["name"] for mount in historian.spec["volumeMounts"]}
    file = Path(example_secrets()["orchestrator-history"]["database"])
    rendered.named("PersistentVolumeClaim", claims[places[str(file.parent)]])
    assert historian.deployment["spec"]["strategy"] == {"type": "Recreate"}
