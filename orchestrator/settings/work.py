"""Settings of what is done: Heat, monitoring targets, the time that jobs may take."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import Field, field_validator

from ..core.addresses import Rules
from ..core.policies import Follow
from ..errors import InvalidInput
from .forms import Folder, Group, Pause, Seconds, parts_of


class HeatSettings(Group):
    """How Heat is asked."""

    heat_poll_interval: Seconds = Field(
        1.0,
        description="Seconds between polls of the stacks in progress of one tenant.",
    )
    heat_timeout: Seconds = Field(
        60.0, description="Seconds for which Heat or Keystone may send nothing."
    )
    heat_deadline: Seconds = Field(
        120.0,
        description=(
            "Seconds for one answer of Heat to its last byte, tokens included; never"
            " less than ORCHESTRATOR_HEAT_TIMEOUT."
        ),
    )
    tenant_credentials: Folder = Field(
        "",
        description=(
            "Folder with credentials of single tenants, <tenant id>.yaml each; empty:"
            " the OS_* variables serve all."
        ),
    )

    @property
    def chain_time(self) -> float:
        """Seconds for all that one chain of tasks asks of Heat: two answers that take their
        time."""
        return 2 * max(self.heat_deadline, self.heat_timeout)

    @property
    def task_limit(self) -> float:
        """Seconds after which a task is stopped: a list of stacks, a chain after it, and some
        more."""
        return 1.5 * self.chain_time + 30


class MonitoringSettings(Group):
    """Which monitoring targets are asked, and how often."""

    monitoring_interval: Seconds = Field(
        60.0, description="Seconds between probes of a monitoring target."
    )
    monitoring_timeout: Seconds = Field(
        5.0,
        description=(
            "Seconds for one monitoring target, from looking up its name to the last"
            " byte of its answer."
        ),
    )
    monitoring_allow: tuple[str, ...] = Field(
        (),
        description=(
            "Monitoring targets that may be asked: networks, addresses and hosts,"
            " separated by commas (192.0.2.0/24,collector.example,*.example.org)."
            " Empty: all but link-local addresses, metadata services, unspecified,"
            " multicast and reserved ones; loopback and private networks are allowed."
        ),
    )
    monitoring_deny: tuple[str, ...] = Field(
        (),
        description=(
            "Monitoring targets that must not be asked, in the same form; goes before"
            " ORCHESTRATOR_MONITORING_ALLOW."
        ),
    )

    @field_validator("monitoring_allow", "monitoring_deny", mode="before")
    @classmethod
    def _targets(cls, value: str | Iterable[str]) -> tuple[str, ...]:
        listed = tuple(part.strip() for part in parts_of(value) if part.strip())
        try:
            Rules.parse(listed)
        except InvalidInput as error:
            raise ValueError(str(error)) from error
        return listed

    @property
    def monitoring_rules(self) -> Rules:
        return Rules.parse(self.monitoring_allow, self.monitoring_deny)


class DriftSettings(Group):
    """How stacks are compared with what was built."""

    drift_interval: Pause = Field(
        600.0,
        description=(
            "Seconds between two comparisons of a tenant's stacks with our records;"
            " 0: only when a person asks."
        ),
    )
    drift_depth: int = Field(
        1,
        ge=1,
        le=4,
        description=(
            "How deep they compare: 1 Heat's lists, 2 also templates and parameters, 3"
            " also live properties, 4 also outputs; from 2 on, some stacks in turn."
        ),
    )
    drift_budget: int = Field(
        20,
        ge=0,
        description=(
            "Stacks of a tenant that one comparison looks at deeper than Heat's list."
        ),
    )


class JobSettings(Group):
    """How long jobs may take, and how many go to Heat at the same time."""

    stack_timeout: Seconds = Field(
        3600.0,
        description=(
            "Seconds that a stack operation may take when its template names no"
            " heat_timeout; Heat's own default."
        ),
    )
    timeout_margin: Pause = Field(
        300.0,
        description=(
            "Seconds past its timeout after which an operation that Heat never ends is"
            " reported as failed."
        ),
    )
    project_patience: Seconds = Field(
        3600.0,
        description=(
            "Seconds for which Keystone may refuse a project before the version is"
            " reported as failed."
        ),
    )
    tenant_requests: int = Field(
        32,
        ge=1,
        description="Jobs of one tenant that workers put to Heat at the same time.",
    )
    total_requests: int = Field(
        256, ge=1, description="The same for all tenants together."
    )
    follow_outputs: Follow = Field(
        Follow.AUTO,
        description=(
            "What happens to a stack when an output of another one changes that it was"
            " built from: auto (it is updated), report (it is shown as outdated) or"
            " never. The mapping heat_rebuild of a template goes before it."
        ),
    )
