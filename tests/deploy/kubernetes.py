"""The manifests of ``deploy/k8s`` as a cluster would get them, and what a container gets.

``kubectl kustomize`` makes them: of the base, of each overlay, of each component on its own, and
of many components together.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

import jsonschema
import kubernetes_validate
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
K8S = ROOT / "deploy" / "k8s"
SECRETS = "/run/secrets/orchestrator"
"""Where the manifests mount secrets."""
VERSIONS = ("1.29", "1.37")
"""Kubernetes: the oldest and the newest release that the manifests are checked against."""
_CRDS = Path(__file__).parent / "crds"
"""Of the Prometheus Operator 0.93.0 (Apache-2.0): its ``example/prometheus-operator-crd``."""

Manifest: TypeAlias = dict[str, Any]


def kubectl() -> str:
    """The program of this environment, else of PATH.

    Without one the test is skipped at home and fails in CI.
    """
    places = [str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]
    found = shutil.which("kubectl", path=os.pathsep.join(places))
    if found is None and "CI" in os.environ:
        pytest.fail("kubectl is not installed")
    return found or pytest.skip("kubectl is not installed")


def _names(folder: str) -> list[str]:
    return sorted(path.name for path in (K8S / folder).iterdir())


def _kustomization(components: list[str], *, on: str = "base") -> Manifest:
    return {
        "namespace": "orchestrator",
        "resources": [f"../../{on}"],
        "components": [f"../../components/{name}" for name in components],
    }


def scenes() -> dict[str, Manifest | None]:
    """What is rendered, by its folder below ``deploy/k8s``.

    None: the folder is there. Else it is made, of this kustomization.
    """
    alone = [name for name in _names("components") if name != "sidecar"]
    # These patch the Deployments that flower and historian add, so they come after them.
    alone.sort(key=lambda name: name.startswith(("etcd", "redis")))
    more = [name for name in alone if name != "gohan"]
    return {
        "base": None,
        **{f"overlays/{name}": None for name in _names("overlays")},
        **{f"alone/{name}": _kustomization([name]) for name in alone},
        "all/standalone": _kustomization(alone),
        "all/sidecar": _kustomization(more, on="overlays/sidecar"),
    }


def render(folder: Path, scene: str) -> Manifests:
    """
    :param folder: a copy of ``deploy/k8s``, to which the scene's kustomization is added.
    """
    kustomization = scenes()[scene]
    if kustomization is not None:
        (folder / scene).mkdir(parents=True, exist_ok=True)
        (folder / scene / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
    command = [kubectl(), "kustomize", str(folder / scene)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return Manifests(tuple(yaml.safe_load_all(done.stdout)))


@dataclass(frozen=True, slots=True)
class Container:
    """One of ours, in the pods of a Deployment."""

    deployment: Manifest
    spec: Manifest

    @property
    def name(self) -> str:
        return str(self.spec["name"])

    @property
    def pod(self) -> Manifest:
        return dict(self.deployment["spec"]["template"]["spec"])

    @property
    def labels(self) -> dict[str, str]:
        return dict(self.metadata["labels"])

    @property
    def metadata(self) -> Manifest:
        """The pods'."""
        return dict(self.deployment["spec"]["template"]["metadata"])

    @property
    def liveness(self) -> Manifest:
        return dict(self.spec["livenessProbe"])

    def mounted(self) -> Iterator[tuple[str, str]]:
        """The secrets it mounts: path and name of the Secret."""
        volumes = {volume["name"]: volume for volume in self.pod["volumes"]}
        for mount in self.spec["volumeMounts"]:
            secret = volumes[mount["name"]].get("secret")
            if secret:
                yield mount["mountPath"], secret["secretName"]


@dataclass(frozen=True, slots=True)
class Manifests:
    """What one kustomization renders."""

    documents: tuple[Manifest, ...]

    def of(self, kind: str) -> list[Manifest]:
        return [document for document in self.documents if document["kind"] == kind]

    def named(self, kind: str, name: str) -> Manifest:
        """
        :raises AssertionError: there is none, or more than one.
        """
        found = [document for document in self.of(kind) if document["metadata"]["name"] == name]
        assert len(found) == 1, (kind, name)
        return found[0]

    def containers(self) -> list[Container]:
        """Those of our image."""
        return [
            Container(deployment, container)
            for deployment in self.of("Deployment")
            for container in deployment["spec"]["template"]["spec"]["containers"]
            if "orchestrator:" in container["image"]
        ]

    def chosen(self, selector: Mapping[str, Any]) -> list[Manifest]:
        """The Deployments whose pods a selector chooses."""
        return [
            deployment
            for deployment in self.of("Deployment")
            if _chooses(selector, deployment["spec"]["template"]["metadata"]["labels"])
        ]

    def variables(self, container: Container) -> dict[str, str]:
        """The environment of a container."""
        environment: dict[str, str] = {}
        for source in container.spec["envFrom"]:
            environment |= self.named("ConfigMap", source["configMapRef"]["name"])["data"]
        for variable in container.spec["env"]:
            environment[variable["name"]] = variable["value"]
        return environment


def _chooses(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    operators: dict[str, Callable[[Manifest], bool]] = {
        "Exists": lambda rule: rule["key"] in labels,
        "In": lambda rule: labels.get(rule["key"]) in rule["values"],
    }
    wanted = selector.get("matchLabels", {})
    rules = selector.get("matchExpressions", [])
    if not wanted.items() <= labels.items():
        return False
    return all(operators[rule["operator"]](rule) for rule in rules)


def example_secrets() -> dict[str, dict[str, str]]:
    """The Secrets of ``secrets.example.yaml``, by their names."""
    documents = yaml.safe_load_all((K8S / "secrets.example.yaml").read_text())
    return {document["metadata"]["name"]: document["stringData"] for document in documents}


def enter(
    container: Container, manifests: Manifests, folder: Path, files: Mapping[str, str]
) -> dict[str, str]:
    """Mount a container's secrets in *folder*, and give the environment of its process.

    The secrets are those of the example.

    :param files: contents that replace the example's, by the names of the files.
    """
    secrets = example_secrets()
    for path, name in container.mounted():
        place = Path(_located(folder, path))
        place.mkdir(parents=True)
        for file, text in secrets[name].items():
            (place / file).write_text(files.get(file, text))
    variables = manifests.variables(container)
    return {name: _located(folder, value) for name, value in variables.items()}


def _located(folder: Path, value: str) -> str:
    return value.replace(SECRETS, f"{folder}{SECRETS}")


# Schemas ------------------------------------------------------------------------------------


def validate(manifest: Manifest, version: str) -> None:
    """
    :param version: of Kubernetes; for the operator's kinds there is one version only.
    :raises jsonschema.ValidationError: it does not follow its schema, or has an unknown property.
    """
    if manifest["apiVersion"].startswith("monitoring.coreos.com/"):
        _operator_schemas()[manifest["kind"]].validate(manifest)
    else:
        kubernetes_validate.validate(manifest, version, strict=True)


@cache
def _operator_schemas() -> dict[str, jsonschema.Draft7Validator]:
    found = {}
    for path in _CRDS.glob("*.yaml"):
        spec = yaml.safe_load(path.read_text())["spec"]
        schema = spec["versions"][0]["schema"]["openAPIV3Schema"]
        found[spec["names"]["kind"]] = jsonschema.Draft7Validator(_closed(schema))
    return found


def _closed(schema: Any) -> Any:
    """The schema without room for unknown properties, as in the API server's strict validation."""
    if isinstance(schema, list):
        return [_closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {name: _closed(part) for name, part in schema.items()}
    if "properties" in schema and schema.get("type") == "object":
        closed.setdefault("additionalProperties", False)
    return closed
