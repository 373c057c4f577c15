"""Every error of the project.

::

    OrchestratorError
    ├── InvalidInput              somebody wrote something we cannot use; writing it anew is the cure
    │   ├── MappingSyntaxError    a mapping does not parse
    │   ├── MappingError          a mapping cannot be evaluated on this resource
    │   ├── TemplateError         a template does not parse or render, or is not HOT
    │   └── SettingsError         the environment
    ├── TemporaryError            the same request will work later; carries no delay, policy does
    │   ├── StoreUnavailable      etcd
    │   ├── BrokerUnavailable     Redis
    │   ├── HeatUnavailable       Heat or Keystone: refused, timeout, 429, 5xx
    │   ├── CredentialsRejected   Keystone says 401: a person must act, no need to give up meanwhile
    │   ├── StackBusy             Heat says 409: another action is in progress on the stack
    │   │   └── DeletionFailed    Heat ended a deletion in DELETE_FAILED
    │   └── TargetUnavailable     a monitoring target did not answer
    └── PermanentError            asking again changes nothing
        ├── StoreRefused          etcd will never take it: too large, too many operations
        ├── HeatRefused           400, 403, 409 on a name, quota …; Heat's own reason in the text
        └── StackMissing          404
"""

from __future__ import annotations


class OrchestratorError(Exception):
    """The root of everything this project raises on purpose."""


class InvalidInput(OrchestratorError):
    """Something written by somebody else cannot be used as it is."""


class MappingSyntaxError(InvalidInput):
    """A mapping does not parse.

    :param text: the text at fault, as it was written.
    """

    def __init__(self, text: object, why: str) -> None:
        super().__init__(f"mapping {text!r}: {why}")
        self.text = text
        self.why = why


class MappingError(InvalidInput):
    """A mapping parses, but cannot be evaluated on this resource."""


class TemplateError(InvalidInput):
    """A template cannot be parsed or rendered, or what it renders is not a HOT document."""


class SettingsError(InvalidInput):
    """A setting has a value that cannot be used; the message names the variable."""


class TemporaryError(OrchestratorError):
    """Asking again later may work; how often and when is decided by the caller's policy."""


class StoreUnavailable(TemporaryError):
    """etcd does not answer, or not in time."""


class BrokerUnavailable(TemporaryError):
    """The broker does not take messages. The message may have been sent all the same."""


class HeatUnavailable(TemporaryError):
    """Heat or Keystone refused the connection, timed out, or answered 429 or 5xx."""


class CredentialsRejected(TemporaryError):
    """Keystone refused the credentials: retried, because rotating them must not fail every job."""


class StackBusy(TemporaryError):
    """Another action is in progress on the stack (Heat's 409 ActionInProgress)."""


class DeletionFailed(StackBusy):
    """Heat ended a deletion in DELETE_FAILED; what was still in use may be released by the next attempt."""


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
    """

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(f"Heat refused the request ({status}): {reason}")
        self.status = status
        self.reason = reason


class StackExists(HeatRefused):
    """A stack of that name exists in the tenant (409 on create)."""


class StackMissing(PermanentError):
    """Heat knows no such stack (404)."""
