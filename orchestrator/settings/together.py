"""Settings that do not go together, and files that are not there."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from ..clients import broker, certificates
from ..clients.schema_list import KEYSTONE
from . import checks
from .environment import PREFIX
from .forms import Mark
from .model import Settings, variable


def faults_together(
    settings: Settings, texts: Mapping[str, str], refused: Collection[str]
) -> Iterator[str]:
    """What is not there, and what does not go together.

    :param texts: settings by field name, as they were written.
    :param refused: fields that cannot be used anyway, and stand at their defaults.
    """
    yield from checks.file_faults(_others(_marked(settings, Mark.FILE)))
    yield from checks.folder_faults(_marked(settings, Mark.FOLDER))
    yield from _certificate_faults(
        "ETCD", settings.etcd_ca, settings.etcd_cert, settings.etcd_key
    )
    yield from _certificate_faults(
        "BROKER", settings.broker_ca, settings.broker_cert, settings.broker_key
    )
    yield from _schema_faults(settings)
    if not any(name.endswith("_prefix") for name in refused):
        yield from checks.prefix_faults(_prefixes(settings))
    groups = {name.partition("_")[0] for name in refused}
    if "etcd" not in groups:
        yield from checks.etcd_faults(texts)
    if "broker" not in groups:
        yield from _broker_faults(settings)


def _marked(settings: Settings, mark: Mark) -> dict[str, str]:
    """The values of the settings with a mark, by variable."""
    return {
        variable(name): getattr(settings, name)
        for name, field in Settings.model_fields.items()
        if mark in field.metadata
    }


def _prefixes(settings: Settings) -> dict[str, str]:
    """The key prefixes, by variable."""
    return {
        variable(name): getattr(settings, name)
        for name in Settings.model_fields
        if name.endswith("_prefix")
    }


def _broker_faults(settings: Settings) -> Iterator[str]:
    access = settings.broker
    for fault in broker.faults(access):
        yield f"{PREFIX}BROKER_{fault}"
    for name in broker.FILES_IN_URL:
        path = access.address.query.get(name, "")
        yield from checks.file_faults({f"{PREFIX}BROKER_URL: {name}": path})


_CERTIFICATES = {"ca": "CA", "certificate": "CERT", "key": "KEY"}


def _certificate_faults(
    group: str, ca: str, certificate: str, key: str
) -> Iterator[str]:
    """:param group: ``ETCD`` or ``BROKER``."""
    for name, fault in certificates.faults(ca, certificate, key):
        yield f"{PREFIX}{group}_{_CERTIFICATES[name]}: {fault}"


def _others(files: Mapping[str, str]) -> dict[str, str]:
    """Without those of which :func:`_certificate_faults` tells more."""
    told = (f"{PREFIX}ETCD_", f"{PREFIX}BROKER_")
    return {
        variable: path
        for variable, path in files.items()
        if not variable.startswith(told)
    }


def _schema_faults(settings: Settings) -> Iterator[str]:
    """What does not go together."""
    if settings.schemas_token and settings.schemas_token_file:
        yield (
            "ORCHESTRATOR_SCHEMAS_TOKEN_FILE: ORCHESTRATOR_SCHEMAS_TOKEN is set too;"
            " give one of them"
        )
    if settings.schemas_auth == KEYSTONE:
        if settings.schemas_token or settings.schemas_token_file:
            yield (
                "ORCHESTRATOR_SCHEMAS_AUTH: with keystone, Keystone makes the token;"
                " give no ORCHESTRATOR_SCHEMAS_TOKEN(_FILE)"
            )
    elif settings.schemas_os_cloud:
        yield "ORCHESTRATOR_SCHEMAS_OS_CLOUD: needs ORCHESTRATOR_SCHEMAS_AUTH=keystone"
