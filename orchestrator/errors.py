"""Every error of the project.

::

    OrchestratorError
    ├── InvalidInput              something unusable was written; write it anew
    │   ├── MappingSyntaxError    a mapping does not parse
    │   ├── MappingError          a mapping cannot be evaluated on this resource
    │   ├── TemplateError         a template does not parse or render, or is not HOT
    │   ├── SettingsError         the environment
    │   ├── PlanStale             what a saved plan was made from has changed
    │   └── SchemasDenied         the API server does not let us read its schema list
    ├── TemporaryError            the same request will work later; carries no delay, policy does
    │   ├── StoreUnavailable      etcd
    │   │   └── StoreForbidden    etcd does not let us: user, password or role; a person must act
    │   ├── RecordUnreadable      a record in etcd that somebody else wrote, or a newer release
    │   ├── BrokerUnavailable     Redis
    │   ├── HeatUnavailable       no answer of Heat or Keystone: timeout, 429, 5xx, a foreign page
    │   │   └── HeatFault         Heat's own error document with status 500
    │   ├── CredentialsRejected   a person must correct the credentials; jobs wait meanwhile
    │   │   ├── EnvironmentUnusable   the OS_* variables, clouds.yaml or a file they name
    │   │   └── DelegationRefused     Heat cannot make a trust with an application credential
    │   ├── ProjectRefused        no such project, or no role in it
    │   ├── StackBusy             Heat says 409: another action is in progress on the stack
    │   │   ├── DeletionFailed    Heat ended a deletion in DELETE_FAILED
    │   │   ├── BuildFailed       Heat failed a create or an update, which the template has retried
    │   │   └── NotSeenYet        Heat shows no stack, but may have taken a request just now
    │   ├── RendererUnavailable   the process that renders templates does not get to run
    │   │   └── RenderingPostponed    the tenant's templates took too much time
    │   └── TargetUnavailable     a monitoring target did not answer
    └── PermanentError            asking again changes nothing
        ├── StoreRefused          etcd will never take it: too large, too many operations
        ├── HeatRefused           Heat's own document with 400, 403, 413 …, and its reason
        │   ├── StackExists       409: the name is taken
        │   ├── LimitExceeded     a quota or a size limit of Heat
        │   └── TenantUnusable    the request names no project, or no possible id of one
        └── StackMissing          Heat's own 404 about that very stack
"""

from __future__ import annotations

from collections.abc import Sequence

_QUOTED = 200
"""Characters of somebody else's text that a message quotes at the most."""
_LONGEST = 1_000
"""Characters of a message that is made of several such texts."""


def shortened(text: str, limit: int = _QUOTED) -> str:
    """The text, or its beginning and a mark that there is more."""
    return text if len(text) <= limit else f"{text[:limit]}…"


def _quoted(value: object) -> str:
    try:
        return shortened(repr(value))
    except RecursionError:
        return "nested too deep to be shown"


class OrchestratorError(Exception):
    """The root of everything this project raises on purpose."""


class InvalidInput(OrchestratorError):
    """Something written by somebody else cannot be used as it is."""


class MappingSyntaxError(InvalidInput):
    """A mapping does not parse.

    :param text: the text at fault, as it was written.
    """

    def __init__(self, text: object, why: str) -> None:
        super().__init__(
            f"mapping {_quoted(text)}: {shortened(why, 2 * _QUOTED)}"
        )
        self.text = text
        self.why = why


class MappingError(InvalidInput):
    """A mapping parses, but cannot be evaluated on this resource."""

    def __init__(self, text: str) -> None:
        super().__init__(shortened(text, _LONGEST))


class TemplateError(InvalidInput):
    """A template cannot be parsed or rendered, or what it renders is not a HOT document."""

    def __init__(self, text: str) -> None:
        super().__init__(shortened(text, _LONGEST))


class SettingsError(InvalidInput):
    """Settings that cannot be used.

    :param faults: one sentence each, which begins with the variable's name.
    :param log_format: of the process, as far as it is known: ``console`` or ``json``.
    """

    def __init__(
        self, faults: str | Sequence[str], log_format: str = "console"
    ) -> None:
        self.faults = (faults,) if isinstance(faults, str) else tuple(faults)
        self.log_format = log_format
        super().__init__(
            self.faults[0]
            if len(self.faults) == 1
            else "\n  ".join(
                [f"{len(self.faults)} settings cannot be used:", *self.faults]
            )
        )


class PlanStale(InvalidInput):
    """What a saved plan was made from has changed: it is not carried out."""


class SchemasDenied(InvalidInput):
    """The API server, or Keystone for it, does not let us read the schema list: a token or a role
    is wrong."""


class TemporaryError(OrchestratorError):
    """Asking again later may work; how often and when is decided by the caller's policy."""


class StoreUnavailable(TemporaryError):
    """etcd does not answer, or not in time."""


class StoreForbidden(StoreUnavailable):
    """etcd does not let us: the user, its password or its role is wrong.
    Retried, because a right that is missing for a moment must end nobody and fail no resource."""


class RecordUnreadable(TemporaryError):
    """A record in etcd cannot be read. It is left alone until somebody repairs or removes it.

    :param key: the record's key.
    """

    def __init__(self, key: str, why: str) -> None:
        super().__init__(
            f"the record {key} cannot be read: {why}; repair or remove it"
        )
        self.key = key


class BrokerUnavailable(TemporaryError):
    """The broker does not take messages. The message may have been sent all the same."""


class HeatUnavailable(TemporaryError):
    """Heat or Keystone cannot be reached, timed out, or what answered is not Heat's or Keystone's
    API."""


class HeatFault(HeatUnavailable):
    """Heat answered this request with status 500 and its own error document.

    An outage ends by itself. A request that is at fault gets the same answer every time.

    :param kind: Heat's type of the error, such as ``KeyError``.
    :param reason: Heat's own words.
    """

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(f"Heat answers 500 ({kind}): {reason}")
        self.kind = kind
        self.reason = reason


class CredentialsRejected(TemporaryError):
    """The credentials cannot be used. Retried, because rotating them must not fail every job."""


class EnvironmentUnusable(CredentialsRejected):
    """The OpenStack settings of this process are incomplete or wrong; the message names the
    variable or the file."""


class DelegationRefused(CredentialsRejected):
    """Heat makes a trust for each stack, and Keystone allows that to no application credential."""


class ProjectRefused(TemporaryError):
    """Keystone gives no token for a project: there is no such project, or the user has no role in
    it.

    :param tenant: the project's id.
    """

    def __init__(self, tenant: str, reason: str) -> None:
        super().__init__(f"no access to project {tenant}: {reason}")
        self.tenant = tenant
        self.reason = reason


class StackBusy(TemporaryError):
    """Another action is in progress on the stack (Heat's 409 ActionInProgress)."""


class DeletionFailed(StackBusy):
    """Heat ended a deletion in DELETE_FAILED; what was still in use may be released by the next
    attempt."""


class BuildFailed(StackBusy):
    """Heat ended a create or an update in a failure, and the template has it tried again.

    :param reason: Heat's end, with what to do should it fail for good.
    :param retry: which retry comes next, from 1.
    :param retries: how many the template allows.
    """

    def __init__(self, reason: str, retry: int, retries: int) -> None:
        super().__init__(reason)
        self.retry, self.retries = retry, retries


class NotSeenYet(StackBusy):
    """Heat shows no stack to delete, and may have taken a request for one a moment ago."""


class RendererUnavailable(TemporaryError):
    """The process that renders templates cannot be started, was ended by somebody, or does not get
    to run."""


class RenderingPostponed(RendererUnavailable):
    """Templates of the tenant have taken too much time: others come first."""


class TargetUnavailable(TemporaryError):
    """A monitoring target did not answer, or not with a document."""


class PermanentError(OrchestratorError):
    """Asking the same again gives the same answer."""


class StoreRefused(PermanentError, ValueError):
    """etcd will never take this request: it is too large, or has too many operations."""


class HeatRefused(PermanentError):
    """Heat understood the request and refused it.

    :param status: the HTTP status.
    :param reason: Heat's own words.
    :param kind: Heat's type of the error, such as ``StackValidationFailed``.
    """

    def __init__(self, status: int, reason: str, kind: str = "") -> None:
        super().__init__(f"Heat refused the request ({status}): {reason}")
        self.status = status
        self.reason = reason
        self.kind = kind


class StackExists(HeatRefused):
    """A stack of that name exists in the tenant (409 on create)."""


class LimitExceeded(HeatRefused):
    """A limit of Heat's: stacks in a project, resources in a stack, size of a template (400
    ``RequestLimitExceeded``)."""


class TenantUnusable(HeatRefused):
    """The request names no project, or a text that cannot be one. Nothing was asked of Heat.

    :param reason: what is wrong with it.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(400, reason)
        self.args = (f"nothing was asked of Heat: {reason}",)


class StackMissing(PermanentError):
    """Heat knows no such stack (404)."""
