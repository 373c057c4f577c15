"""The stacks of any tenant, through Heat's API version 1.

One token per tenant, scoped to it; all requests share one pool of connections. Everything is made
at first use, so after a worker's fork.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

from heatclient.v1.stacks import StackManager

from ...clock import CLOCK, Clock
from ...core.refs import Json
from ...core.rendering import StackRequest
from ...core.stacks import Stack
from ...errors import (
    HeatFault,
    HeatUnavailable,
    ProjectRefused,
    StackMissing,
)
from . import answers, credentials, keystone, previews
from .answer import Answer
from .asked import fields, identity
from .cloud import Cloud
from .connections import Connections
from .inspecting import PAGE, Inspecting
from .logins import Logins
from .meaning import RoleMissing, TokenRefused, delegation_refused
from .refusals import Refusals
from .shared_tokens import NOT_SHARED, SharedTokens
from .wire import Line, RequestObserver, Wire, observed

T = TypeVar("T")

_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Heat(Inspecting):
    """Stacks of any tenant.

    Every method raises a :class:`TemporaryError` when asking again later may help, among them
    :class:`HeatUnavailable`, :class:`CredentialsRejected` and :class:`ProjectRefused`; and
    :class:`HeatRefused` (with its kinds) when not. No error of another library leaves it.
    """

    def __init__(
        self,
        timeout: float = 60.0,
        deadline: float = 120.0,
        logins: Logins | None = None,
        folder: str = "",
        clock: Clock = CLOCK,
        shared: SharedTokens = NOT_SHARED,
        observe: RequestObserver | None = None,
    ) -> None:
        """
        :param timeout: seconds without a byte, after which Heat or Keystone count as silent.
        :param deadline: seconds for one call of a method in all, to the last byte; never less than
            *timeout*.
        :param logins: what is known of logins; default: this process alone.
        :param folder: where tenants have credentials of their own (``<tenant>.yaml``), if any do.
        :param shared: tokens of all processes of a worker.
        :param observe: told of each request to Heat: method, status (0: no answer) and seconds.
        """
        self._connections = Connections(timeout, clock)
        self._send = observed(self._connections.exchange, clock, observe)
        self._deadline = max(deadline, timeout)
        logins = logins or Logins(clock=clock)
        self._cloud = Cloud(self._connections, logins, shared, folder)
        self._refusals = Refusals(clock)
        self._builds: set[str] = set()
        """Tenants in which Heat has taken a create: there, a delegated token is no trouble."""

    def warm_up(self) -> None:
        """Read the credentials and import what a client needs; no request is made."""
        self._cloud.read()

    def only_while(
        self, check: Callable[[], None]
    ) -> AbstractContextManager[None]:
        """Within the block, *check* is called directly before each request of this thread leaves;
        when it raises, the request is not made."""
        return self._connections.only_while(check)

    def within(self, seconds: float) -> AbstractContextManager[None]:
        """All calls of this thread in the block end within *seconds*, however many there are."""
        return self._connections.within(seconds)

    # Whether it works -----------------------------------------------------------------------------

    def check(self) -> str:
        """Log in; who we are and where Heat is, for people.

        :raises TemporaryError: what is wrong, and what to do.
        """
        with self.within(self._deadline):
            access = self._cloud.access("")
            token, who = access.check(), access.credentials.who
            if not token.project:
                return who
            address = keystone.heat_address(
                access.credentials, token, token.project
            )
            return f"{who}, Heat at {address}"

    def prepare(self, tenant: str) -> str:
        """Have a token and an address for the tenant, so that the next call is one request and no
        more.

        :returns: Heat's address.
        """
        with self.within(self._deadline):
            return self._line(tenant).url

    def gone(self, tenant: str) -> bool | None:
        """Whether Keystone says that there is no such project any more; None when it does not tell
        us."""
        with self.within(self._deadline):
            return self._cloud.access(tenant).gone(tenant)

    def allow_login(self) -> None:
        """Log in at once the next time, though the last login was refused. Keystone counts it."""
        self._cloud.allow_login()
        self._refusals.clear()

    # Looking --------------------------------------------------------------------------------------

    def show(self, tenant: str, stack: str, *, outputs: bool) -> Stack | None:
        """A stack by ``name``, ``id`` or ``name/id``, None when Heat knows it no more.

        By its name alone, it is taken from a list of the stacks of that name: one request, where
        Heat's own look-up takes two, of which the second goes to the address that Heat believes to
        have. Gone is only what Heat says is gone, so a list without it is followed by the question
        for it.

        :param outputs: resolve the outputs too, which makes Heat read every resource.
        """
        name, _, stack_id = stack.partition("/")
        with self.within(self._deadline):
            if not stack_id:
                found = self._find(tenant, name)
                if found is None or not outputs:
                    return found
                stack_id = found.id
            try:
                return self._show(tenant, name, stack_id, outputs)
            except StackMissing:
                return None

    def in_progress(self, tenant: str) -> Iterator[str]:
        """The ids of the tenant's stacks on which Heat is at work."""
        with self.within(self._deadline):
            stacks = list(self._pages(tenant, {"status": "IN_PROGRESS"}))
        return iter([stack.id for stack in stacks if stack.in_progress])

    # Asking ---------------------------------------------------------------------------------------

    def create(self, request: StackRequest, tag: str) -> str:
        """Ask for a new stack; Heat's id of it.

        :raises StackExists: there is one of that name.
        """
        body = {"stack_name": request.name, **fields(request, tag)}
        with self.within(self._deadline):
            try:
                made = self._call(
                    request.tenant,
                    lambda stacks: stacks.create(**body),
                    lambda answer: answers.created(answer, request.name),
                )
            except (HeatFault, RoleMissing) as error:
                raise self._explained(request.tenant, error) from error
        self._builds.add(request.tenant)
        return made

    def update(self, request: StackRequest, stack: Stack, tag: str) -> None:
        """Ask for a stack to become what *request* says.

        :raises StackBusy: another action is in progress on it.
        """
        asked = fields(request, tag)
        with self.within(self._deadline):
            self._call(
                request.tenant,
                lambda stacks: stacks.update(
                    identity(stack.name, stack.id), **asked
                ),
                lambda answer: answers.updated(answer, stack.name, stack.id),
            )

    def preview(
        self, request: StackRequest, stack: Stack | None
    ) -> dict[str, Json]:
        """What Heat says it would do: by ``added``, ``updated``, ``replaced`` …, the resources
        inside the stack. Heat changes nothing, and does not guarantee it.

        :param stack: the stack that would be updated; None: a new one.
        """
        with self.within(self._deadline):
            return previews.preview(self._call, request, stack)

    def delete(self, tenant: str, stack: Stack) -> None:
        """Ask for a stack to go; it may be gone already."""
        with self.within(self._deadline):
            try:
                self._call(
                    tenant,
                    lambda stacks: stacks.delete(
                        identity(stack.name, stack.id)
                    ),
                    lambda answer: answers.deleted(
                        answer, stack.name, stack.id
                    ),
                )
            except StackMissing:
                return

    def cancel(self, tenant: str, stack: Stack) -> None:
        """Ask Heat to end the create or update in progress, without rolling it back."""
        place = f"/stacks/{identity(stack.name, stack.id)}/actions"
        with self.within(self._deadline):
            self._call(
                tenant,
                lambda stacks: stacks.client.post(
                    place, data={"cancel_without_rollback": None}
                ),
                lambda answer: answers.cancelled(answer, stack.name, stack.id),
            )

    # Looking, in detail ---------------------------------------------------------------------------

    def _show(
        self, tenant: str, name: str, stack_id: str, outputs: bool
    ) -> Stack:
        return self._call(
            tenant,
            lambda stacks: stacks.get(
                identity(name, stack_id), resolve_outputs=outputs
            ),
            lambda answer: answers.shown(answer, name, stack_id, outputs),
        )

    def _find(self, tenant: str, name: str) -> Stack | None:
        """The stack of a name, or of an id of Heat's, without outputs."""
        is_id = _ID.fullmatch(name) is not None
        # Hidden are stacks with tags that the operator of Heat names (hidden_stack_tags): their
        # names are taken too.
        query = {"id" if is_id else "name": name, "show_hidden": "True"}
        found = [
            stack
            for stack in self._pages(tenant, query)
            if name in (stack.name, stack.id)
        ]
        if found:
            # While Heat takes a deleted stack away, another one may have its name already.
            return min(
                found, key=lambda stack: stack.status == "DELETE_COMPLETE"
            )
        if is_id:
            return None
        stack_id = self._get(
            tenant,
            f"/stacks/{quote(name, safe='')}",
            lambda answer: answers.located(answer, name),
        )
        if stack_id is None:
            return None
        try:
            return self._show(tenant, name, stack_id, False)
        except StackMissing:
            return None

    def _pages(self, tenant: str, query: dict[str, str]) -> Iterator[Stack]:
        """All stacks of a list, page by page."""
        marker: dict[str, str] = {}
        seen: set[str] = set()
        while True:
            path = "/stacks?" + urlencode(
                {**query, "limit": str(PAGE), **marker}
            )
            page = self._get(tenant, path, answers.listed)
            new = [stack for stack in page if stack.id not in seen]
            yield from new
            if len(page) < PAGE:
                return
            if not new:
                raise HeatUnavailable(
                    "Heat answers the same page of its list each time; is there a cache"
                    " before it?"
                )
            seen.update(stack.id for stack in new)
            marker = {"marker": page[-1].id}

    # The call -------------------------------------------------------------------------------------

    def _get(self, tenant: str, path: str, judge: Callable[[Answer], T]) -> T:
        """A plain GET: heatclient follows redirects, and is five times as slow with a list."""
        return self._call(tenant, lambda stacks: stacks.client.get(path), judge)

    def _call(
        self,
        tenant: str,
        ask: Callable[[StackManager], object],
        judge: Callable[[Answer], T],
    ) -> T:
        """One request. A token that Heat refuses, and a role that it does not see, are tried with
        a new token, once.

        :param ask: makes the request, by heatclient's manager of stacks.
        :param judge: what the answer says, before heatclient has to understand it.
        """
        line = self._line(tenant)
        try:
            return self._asked(line, ask, judge)
        except TokenRefused as error:
            first: TokenRefused | RoleMissing = error
        except RoleMissing as error:
            if not error.explained and line.access.credentials.delegated:
                raise  # Keystone refused something to Heat, and would refuse it to another token.
            self._refusals.check_role(tenant, error)
            first = error
        line.access.drop(tenant, line.token)
        again = self._line(tenant)
        try:
            result = self._asked(again, ask, judge)
        except TokenRefused as error:
            raise self._refusals.note_token(
                tenant, again.access.credentials, error
            ) from first
        except RoleMissing as error:
            raise self._refusals.note_role(tenant, error) from first
        self._refusals.forget(tenant)
        return result

    def _asked(
        self,
        line: Line,
        ask: Callable[[StackManager], object],
        judge: Callable[[Answer], T],
    ) -> T:
        wire: Wire[T] = Wire(partial(self._exchange, line), judge)
        ask(StackManager(wire))
        return wire.result

    def _exchange(
        self, line: Line, method: str, path: str, body: Any
    ) -> Answer:
        headers = {"Accept": "application/json", **line.token.headers}
        data = None
        if body is not None:
            headers["Content-Type"] = "application/json"
            data = json.dumps(body).encode()
        trust = line.access.credentials.trust
        answer = self._send(method, line.url + path, headers, data, trust)
        if answer.status < 300 or not line.token.value:
            return answer
        return answer.without([line.token.value])

    def _line(self, tenant: str) -> Line:
        """A token and an address for the tenant."""
        credentials.check_tenant(tenant)
        self._refusals.check(tenant)
        access = self._cloud.access(tenant)
        try:
            token = access.token(tenant)
        except ProjectRefused as error:
            self._refusals.note_project(error)
            raise
        return Line(
            access,
            token,
            keystone.heat_address(access.credentials, token, tenant),
        )

    def _explained(
        self, tenant: str, error: HeatFault | RoleMissing
    ) -> Exception:
        """What a create that failed inside Heat means for a delegated token (an application
        credential, a trust).

        Heat makes a trust for each stack, and Keystone forbids that to a delegated token
        ("Delegated tokens cannot manage trusts"). Heat answers 500, or 403 without a word, to
        every create, whatever the template is.
        """
        used = self._cloud.access(tenant).credentials
        likely = used.delegated and tenant not in self._builds
        if not likely and "Delegated tokens" not in str(error):
            return error
        return delegation_refused(tenant, used.who, error)
