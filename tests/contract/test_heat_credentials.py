"""Credentials: what is wrong with them is told at once and clearly, and no account is ever locked.

A scripted Keystone (:mod:`tests.scripted.keystone`) before a scripted Heat; each
:class:`Heat` stands for one worker process.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml
from orchestrator.clients import catalogue
from orchestrator.clients.heat import (
    Heat,
    InStore,
    Logins,
    SharedTokens,
    cloud,
    environment,
    for_processes,
    logins,
    refusals,
)
from orchestrator.clients.store import KeyValue
from orchestrator.core.keys import Keys, Prefixes
from orchestrator.core.records import Login, LoginState
from orchestrator.core.refs import StackName
from orchestrator.core.rendering import StackRequest
from orchestrator.errors import (
    CredentialsRejected,
    DelegationRefused,
    EnvironmentUnusable,
    HeatFault,
    HeatUnavailable,
    ProjectRefused,
    StoreUnavailable,
    TemporaryError,
)

from tests.doubles import ManualClock, MemoryStore
from tests.doubles.clock import ShiftedClock
from tests.scripted import odd_answers
from tests.scripted.heat import ScriptedHeat
from tests.scripted.keystone import ScriptedKeystone

TAG = "orchestrator-1-aaaaa"
FORK = multiprocessing.get_context("fork")


def request(name: str = "network_n1", tenant: str = "t1") -> StackRequest:
    return StackRequest(StackName(name), tenant, "heat_template_version: 2018-08-31\n", {}, 5)


@pytest.fixture(scope="module")
def the_heat() -> Iterator[ScriptedHeat]:
    with ScriptedHeat() as scripted:
        yield scripted


@pytest.fixture
def heat(the_heat: ScriptedHeat) -> ScriptedHeat:
    """A Heat without stacks, which obeys."""
    the_heat.stacks.clear()
    the_heat.requests.clear()
    the_heat.refuse = lambda method, tenant, path: None
    return the_heat


@pytest.fixture
def keystone(
    heat: ScriptedHeat, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[ScriptedKeystone]:
    """A Keystone that locks an account after five wrong passwords, and an environment for it."""
    with ScriptedKeystone(f"{heat.url}/v1/%(tenant_id)s", lockout=5) as scripted:
        heat.keystone = scripted
        monkeypatch.chdir(tmp_path)  # where no clouds.yaml lies
        use(monkeypatch, scripted.environment())
        yield scripted


@pytest.fixture
def clock() -> ShiftedClock:
    return ShiftedClock()


def use(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]) -> None:
    """The OS_* variables of whoever opens a door from now on."""
    for name in [name for name in os.environ if name.startswith("OS_")]:
        monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)


def raised(call: Callable[[], object]) -> Exception:
    with pytest.raises(TemporaryError) as caught:
        call()
    return caught.value


# Tokens --------------------------------------------------------------------------------------------


def test_one_password_makes_the_tokens_of_all_projects(
    keystone: ScriptedKeystone, heat: ScriptedHeat
) -> None:
    door = Heat()
    for number in range(5):
        for tenant in ("t1", "t2"):
            door.create(request(f"network_n{number}", tenant), TAG)

    assert keystone.logins == [True]
    assert keystone.requests.count("POST /v3/auth/tokens") == 3
    assert len(heat.requests) == 10


def test_threads_that_need_a_token_at_once_share_it(keystone: ScriptedKeystone) -> None:
    door = Heat()
    with ThreadPoolExecutor(16) as threads:
        list(threads.map(lambda number: door.create(request(f"network_n{number}"), TAG), range(16)))

    assert keystone.logins == [True]
    assert keystone.requests.count("POST /v3/auth/tokens") == 2


def in_processes(count: int, work: Callable[[int], None]) -> None:
    """Work of the children of this process, as those of a worker are; all have done it."""
    children = [FORK.Process(target=work, args=(number,)) for number in range(count)]
    for child in children:
        child.start()
    for child in children:
        child.join(30)
    assert [child.exitcode for child in children] == [0] * count


def build_in_both(shared: SharedTokens, number: int) -> None:
    door = Heat(shared=shared)
    for tenant in ("t1", "t2"):
        door.create(request(f"network_p{number}", tenant), TAG)


def test_the_processes_of_a_worker_share_their_tokens(
    keystone: ScriptedKeystone, heat: ScriptedHeat
) -> None:
    in_processes(4, partial(build_in_both, for_processes()))

    assert keystone.logins == [True]
    assert keystone.requests.count("POST /v3/auth/tokens") == 3
    assert len(heat.requests) == 8


def test_a_token_that_one_process_drops_is_made_anew_once_for_all(
    keystone: ScriptedKeystone,
) -> None:
    shared = for_processes()
    in_processes(1, partial(build_in_both, shared))
    keystone.tokens.clear()
    keystone.requests.clear()
    in_processes(3, lambda number: build_in_both(shared, 10 + number))

    # At least one for the login and one for each project. What they have now is everybody's.
    assert keystone.requests.count("POST /v3/auth/tokens") >= 3
    before = len(keystone.requests)
    build_in_both(shared, 20)
    assert len(keystone.requests) == before


def test_a_process_that_dies_while_it_asks_for_a_token_is_in_nobodys_way(
    keystone: ScriptedKeystone,
) -> None:
    shared = for_processes()
    account = environment.of_environment().account
    inside = FORK.Event()

    def die() -> None:
        with shared.alone(f"{account} t1", 5):
            inside.set()
            os.kill(os.getpid(), signal.SIGKILL)

    child = FORK.Process(target=die)
    child.start()
    assert inside.wait(10)
    child.join(10)
    door = Heat(shared=shared)
    with door.within(5):
        door.create(request("network_n1"), TAG)

    assert keystone.logins == [True]


def test_who_waits_for_another_process_gives_up_in_time(keystone: ScriptedKeystone) -> None:
    shared = for_processes()
    account = environment.of_environment().account
    inside, over = FORK.Event(), FORK.Event()

    def hold() -> None:
        with shared.alone(f"{account} t1", 5):
            inside.set()
            over.wait(30)

    child = FORK.Process(target=hold)
    child.start()
    assert inside.wait(10)
    door = Heat(shared=shared)
    with door.within(0.3), pytest.raises(HeatUnavailable, match="another process"):
        door.create(request("network_n1"), TAG)
    over.set()
    child.join(10)


def test_a_token_has_time_left_for_a_heat_that_looks_at_it_late(
    keystone: ScriptedKeystone, clock: ShiftedClock
) -> None:
    """The token of a project ends with that of the login, of which it is made."""
    keystone.life = 60.0
    door = Heat(clock=clock.clock)
    for seconds in (0, 25, 29, 31, 50, 58):
        clock.ahead = seconds
        door.create(request(f"network_n{seconds}", "t1" if seconds < 25 else "t2"), TAG)
    # At 31 s everything is made anew, though the token of t2 is young.
    assert keystone.requests.count("POST /v3/auth/tokens") == 5


def test_a_short_token_serves_for_half_of_its_life(
    keystone: ScriptedKeystone, clock: ShiftedClock
) -> None:
    """keystoneauth renews 120 s before the end: a token of 60 s for every request anew."""
    keystone.life = 60.0
    door = Heat(clock=clock.clock)
    for number in range(20):
        door.create(request(f"network_n{number}"), TAG)
    assert keystone.requests.count("POST /v3/auth/tokens") == 2

    clock.pass_(55)
    door.create(request("network_later"), TAG)
    assert keystone.requests.count("POST /v3/auth/tokens") == 4


def test_a_token_that_is_revoked_is_replaced_and_the_request_made_again(
    keystone: ScriptedKeystone, heat: ScriptedHeat
) -> None:
    door = Heat()
    door.create(request("network_before"), TAG)
    keystone.tokens.clear()

    door.create(request("network_after"), TAG)

    assert keystone.logins == [True, True]
    assert [taken.stack for taken in heat.requests] == ["network_before", "network_after"]


def test_a_heat_that_trusts_no_token_is_told_without_more_passwords(
    keystone: ScriptedKeystone, heat: ScriptedHeat
) -> None:
    with ScriptedKeystone() as another:
        heat.keystone = another
        door = Heat()
        errors = [raised(lambda: list(door.in_progress("t1"))) for _ in range(5)]

    assert {type(error) for error in errors} == {CredentialsRejected}
    assert "does this Heat belong to this Keystone" in str(errors[0])
    assert keystone.logins == [True]


def test_a_keystone_that_makes_no_token_of_another_is_given_the_password(
    keystone: ScriptedKeystone, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = ScriptedKeystone._make_token
    denied = {"error": {"code": 401, "message": "denied", "title": "Unauthorized"}}

    def by_password_only(self: ScriptedKeystone, auth: Any) -> Any:
        if auth["identity"]["methods"] == ["token"]:
            return 401, denied, {}
        return honest(self, auth)

    monkeypatch.setattr(ScriptedKeystone, "_make_token", by_password_only)
    Heat().create(request(), TAG)

    assert keystone.logins == [True, True]


# Wrong passwords -----------------------------------------------------------------------------------


def test_a_wrong_password_is_tried_once_however_many_ask(
    keystone: ScriptedKeystone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OS_PASSWORD", "wrong")
    door = Heat()
    calls: list[Callable[[], object]] = [
        lambda: door.create(request(), TAG),
        lambda: list(door.in_progress("t2")),
        lambda: door.show("t1", "network_n1", outputs=True),
        door.check,
    ]
    with ThreadPoolExecutor(8) as threads:
        errors = list(threads.map(lambda number: raised(calls[number % 4]), range(40)))

    assert {type(error) for error in errors} == {CredentialsRejected}
    assert "user orchestrator" in str(errors[0]) and "OS_* variables" in str(errors[0])
    assert keystone.logins == [False]


def test_processes_that_share_a_store_try_a_wrong_password_once_together(
    keystone: ScriptedKeystone, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sixteen worker processes start with yesterday's password."""
    monkeypatch.setenv("OS_PASSWORD", "yesterday's")
    store, keys = MemoryStore(), Keys(Prefixes(), catalogue.load().schemas)
    doors = [Heat(logins=Logins(InStore(store, keys))) for _ in range(16)]
    with ThreadPoolExecutor(16) as threads:
        errors = list(threads.map(lambda door: raised(door.check), doors))

    assert {type(error) for error in errors} == {CredentialsRejected}
    assert keystone.logins == [False]
    assert not keystone.locked
    (record,) = store.list(keys.logins)[1]
    kept = Login.from_json(record.value)
    assert (kept.state, kept.refusals) == (LoginState.REFUSED, 1)
    assert b"yesterday" not in record.value


def test_processes_that_start_together_all_get_in(keystone: ScriptedKeystone) -> None:
    store, keys = MemoryStore(), Keys(Prefixes(), catalogue.load().schemas)
    doors = [Heat(logins=Logins(InStore(store, keys))) for _ in range(16)]
    with ThreadPoolExecutor(16) as threads:
        names = list(threads.map(lambda door: door.check(), doors))

    assert len(names) == 16
    assert keystone.logins == [True] * 16


def test_a_password_changed_under_running_processes_locks_nothing(
    keystone: ScriptedKeystone, monkeypatch: pytest.MonkeyPatch, clock: ShiftedClock
) -> None:
    """Every token is revoked at that moment, so all processes want to log in at once."""
    store, keys = MemoryStore(), Keys(Prefixes(), catalogue.load().schemas)
    shared = partial(Logins, InStore(store, keys), clock.clock)
    doors = [Heat(logins=shared(), clock=clock.clock) for _ in range(8)]
    for door in doors:
        list(door.in_progress("t1"))
    keystone.logins.clear()
    clock.pass_(logins.KNOWN_GOOD_FOR + 1)
    keystone.change_password("tomorrow's")

    with ThreadPoolExecutor(8) as threads:
        for _ in range(3):
            list(threads.map(lambda door: raised(lambda: list(door.in_progress("t1"))), doors))

    assert keystone.logins == [False]
    use(monkeypatch, keystone.environment())
    restarted = Heat(logins=shared(), clock=clock.clock)
    assert list(restarted.in_progress("t1")) == []


def test_the_pauses_between_tries_keep_below_a_lockout_for_an_hour() -> None:
    assert sum(pause * 0.8 for pause in logins.PAUSES[:4]) > 3000


class AwayStore(MemoryStore):
    def get(self, key: str) -> KeyValue | None:
        raise StoreUnavailable("etcd does not answer")


def test_without_etcd_nobody_logs_in(keystone: ScriptedKeystone) -> None:
    keys = Keys(Prefixes(), catalogue.load().schemas)
    error = raised(Heat(logins=Logins(InStore(AwayStore(), keys))).check)

    assert type(error) is HeatUnavailable and "etcd does not answer" in str(error)
    assert keystone.logins == []


def test_a_try_that_was_broken_off_is_taken_over(keystone: ScriptedKeystone) -> None:
    """A process died while it tried."""
    store, keys = MemoryStore(), Keys(Prefixes(), catalogue.load().schemas)
    first = Heat(logins=Logins(InStore(store, keys)))
    first.check()
    (record,) = store.list(keys.logins)[1]
    now = time.time()
    store.put(record.key, Login(LoginState.TRYING, "x", now - 200, now - 50).to_json())

    assert "orchestrator" in Heat(logins=Logins(InStore(store, keys))).check()


def test_an_unreachable_keystone_costs_no_pause(
    keystone: ScriptedKeystone, monkeypatch: pytest.MonkeyPatch
) -> None:
    door = Heat()
    keystone.odd = lambda method, path: odd_answers.answer(503, odd_answers.PAGE)
    assert type(raised(door.check)) is HeatUnavailable

    keystone.odd = lambda method, path: None
    door.check()


@pytest.mark.parametrize("what", sorted(odd_answers.odd_answers().keys() - {"Keystone's 404"}))
def test_what_is_no_answer_of_keystone_is_an_outage(what: str, keystone: ScriptedKeystone) -> None:
    odd = odd_answers.odd_answers()[what]
    door = Heat()
    keystone.odd = lambda method, path: odd
    assert type(raised(lambda: door.prepare("t1"))) is HeatUnavailable, "the login"

    keystone.odd = lambda method, path: None
    door.check()
    keystone.odd = lambda method, path: odd
    assert type(raised(lambda: door.prepare("t1"))) is HeatUnavailable, "the project's token"


def test_a_keystone_that_hangs_ends_with_the_call(keystone: ScriptedKeystone) -> None:
    keystone.odd = lambda method, path: odd_answers.SILENT
    door = Heat(timeout=0.5, deadline=0.7)
    started = time.monotonic()
    with ThreadPoolExecutor(4) as threads:
        errors = list(threads.map(lambda _: raised(lambda: door.create(request(), TAG)), range(4)))

    assert {type(error) for error in errors} == {HeatUnavailable}
    assert time.monotonic() - started < 10


def test_what_keystone_quotes_of_the_password_is_not_told(
    keystone: ScriptedKeystone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OS_PASSWORD", "hunter22")
    error = {"error": {"code": 400, "message": "'hunter22' is too short", "title": "Bad Request"}}
    keystone.odd = lambda method, path: odd_answers.document(400, error)

    text = str(raised(Heat().check))

    assert "is too short" in text
    assert "hunter22" not in text


# Projects ------------------------------------------------------------------------------------------


def test_a_project_without_a_role_is_not_a_wrong_password(keystone: ScriptedKeystone) -> None:
    door = Heat()
    errors = [raised(lambda: door.create(request(tenant="t3"), TAG)) for _ in range(20)]

    assert {type(error) for error in errors} == {ProjectRefused}
    assert {error.tenant for error in errors if isinstance(error, ProjectRefused)} == {"t3"}
    assert "no role in it, or there is no such project" in str(errors[0])
    assert keystone.logins == [True]
    assert len(keystone.requests) <= 6, "nobody asks for it again in the pause"
    door.create(request(), TAG)  # other projects do not notice


@pytest.mark.parametrize(
    ("tenant", "words"),
    [("t3", "has no role in it;"), ("nowhere", "has no such project"), ("t2", "disabled")],
)
def test_who_may_see_projects_is_told_what_is_wrong_with_one(
    tenant: str, words: str, keystone: ScriptedKeystone
) -> None:
    keystone.sees_projects = True
    keystone.disabled = {"t2"}
    door = Heat()

    assert words in str(raised(lambda: door.prepare(tenant)))
    assert door.gone(tenant) is (tenant == "nowhere")


def test_who_may_not_see_projects_does_not_know_whether_one_is_gone(
    keystone: ScriptedKeystone,
) -> None:
    assert Heat().gone("nowhere") is None


def test_a_role_given_later_is_found(keystone: ScriptedKeystone, clock: ShiftedClock) -> None:
    door = Heat(clock=clock.clock)
    raised(lambda: door.prepare("t3"))
    keystone.roles.add("t3")
    clock.pass_(2 * refusals.PAUSES[0])

    door.create(request(tenant="t3"), TAG)

    assert keystone.logins == [True]


def test_after_a_403_of_heat_a_new_token_is_tried_once(
    keystone: ScriptedKeystone, heat: ScriptedHeat
) -> None:
    """Heat remembers a token's roles for minutes; with a new token it looks again."""
    refusals_left = [1]

    def refuse(method: str, tenant: str, path: str) -> tuple[int, str, str] | None:
        if not refusals_left[0]:
            return None
        refusals_left[0] -= 1
        return 403, "Forbidden", "You are not authorized to use stacks:create."

    heat.refuse = refuse
    Heat().create(request(), TAG)

    assert keystone.requests.count("POST /v3/auth/tokens") == 3
    assert len(heat.requests) == 1


def test_a_role_that_heat_misses_names_the_project_and_costs_no_tokens(
    keystone: ScriptedKeystone, heat: ScriptedHeat
) -> None:
    """A reader may list, and not create: lists go on."""
    forbidden = (403, "Forbidden", "You are not authorized to use stacks:create.")
    heat.refuse = lambda method, tenant, path: forbidden if method == "POST" else None
    door = Heat()
    errors = []
    for _ in range(10):
        errors.append(raised(lambda: door.create(request(), TAG)))
        assert list(door.in_progress("t1")) == []

    assert {type(error) for error in errors} == {ProjectRefused}
    assert "no access to project t1" in str(errors[0]) and "stacks:create" in str(errors[0])
    assert keystone.requests.count("POST /v3/auth/tokens") == 3


# Application credentials ---------------------------------------------------------------------------


@pytest.fixture
def bound(keystone: ScriptedKeystone, monkeypatch: pytest.MonkeyPatch) -> ScriptedKeystone:
    """The workers have an application credential of project t1."""
    keystone.application_credential = "t1"
    use(monkeypatch, keystone.application_credentials())
    return keystone


def test_an_application_credential_builds_in_its_own_project_and_in_no_other(
    bound: ScriptedKeystone, heat: ScriptedHeat
) -> None:
    door = Heat()
    door.create(request(), TAG)
    error = raised(lambda: door.create(request(tenant="t2"), TAG))

    assert type(error) is ProjectRefused
    assert "bound to project t1" in str(error) and "credentials for t2" in str(error)
    assert [(taken.tenant, taken.stack) for taken in heat.requests] == [("t1", "network_n1")]
    assert bound.logins == [True]


@pytest.mark.parametrize(
    "answer",
    [(500, "RemoteError", "Forbidden"), (500, "InternalServerError", ""), (403, "Forbidden", "")],
)
def test_a_heat_that_cannot_make_trusts_is_explained(
    answer: tuple[int, str, str], bound: ScriptedKeystone, heat: ScriptedHeat
) -> None:
    heat.refuse = lambda method, tenant, path: answer if method == "POST" else None
    door = Heat()

    error = raised(lambda: door.create(request(), TAG))

    assert type(error) is DelegationRefused
    assert "allow_insecure_application_credential_trust_escalation" in str(error)
    assert list(door.in_progress("t1")) == []


def test_once_a_create_was_taken_a_500_is_of_that_request(
    bound: ScriptedKeystone, heat: ScriptedHeat
) -> None:
    door = Heat()
    door.create(request(), TAG)
    heat.refuse = lambda method, tenant, path: (500, "error", "") if method == "POST" else None

    assert type(raised(lambda: door.create(request("network_n2"), TAG))) is HeatFault


def test_with_a_password_a_500_is_never_about_trusts(
    keystone: ScriptedKeystone, heat: ScriptedHeat
) -> None:
    heat.refuse = lambda method, tenant, path: (500, "error", "") if method == "POST" else None

    assert type(raised(lambda: Heat().create(request(), TAG))) is HeatFault


# Credentials of single tenants, from files ---------------------------------------------------------


def write(folder: Path, tenant: str, keystone: ScriptedKeystone, **changes: str) -> Path:
    auth = {
        "auth_url": keystone.url,
        "application_credential_id": "ac",
        "application_credential_secret": keystone.password,
        **changes,
    }
    path = folder / f"{tenant}.yaml"
    path.write_text(yaml.safe_dump({"auth_type": "v3applicationcredential", "auth": auth}))
    return path


def test_a_tenant_with_a_file_is_served_with_its_own_credentials(
    keystone: ScriptedKeystone, heat: ScriptedHeat, tmp_path: Path
) -> None:
    with ScriptedKeystone(f"{heat.url}/v1/%(tenant_id)s", application_credential="t9") as theirs:
        write(tmp_path, "t9", theirs)
        door = Heat(folder=str(tmp_path))
        door.create(request(), TAG)
        heat.keystone = theirs
        door.create(request(tenant="t9"), TAG)

    assert keystone.logins == [True]
    assert theirs.logins == [True]


def test_a_file_that_changes_is_read_again_without_a_restart(
    keystone: ScriptedKeystone, tmp_path: Path
) -> None:
    keystone.application_credential = "t1"
    write(tmp_path, "t1", keystone, application_credential_secret="old")
    door = Heat(folder=str(tmp_path))
    assert type(raised(lambda: door.create(request(), TAG))) is CredentialsRejected

    write(tmp_path, "t1", keystone)
    door.create(request(), TAG)

    assert keystone.logins == [False, True]


def test_a_file_that_breaks_leaves_in_place_what_was_read(
    keystone: ScriptedKeystone,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    keystone.application_credential = "t1"
    path = write(tmp_path, "t1", keystone)
    use(monkeypatch, {})
    door = Heat(folder=str(tmp_path))
    door.create(request(), TAG)
    path.write_text("auth: {")

    door.create(request("network_n2"), TAG)
    door.create(request("network_n4"), TAG)

    assert [r.message for r in caplog.records] == ["Changed credentials cannot be used"]
    error = raised(lambda: Heat(folder=str(tmp_path)).create(request("network_n3"), TAG))
    assert type(error) is EnvironmentUnusable and str(path) in str(error)


def test_a_tenant_without_a_file_or_an_environment_is_told_so(
    keystone: ScriptedKeystone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, {})

    error = raised(lambda: Heat(folder=str(tmp_path)).create(request(), TAG))

    assert type(error) is EnvironmentUnusable


def test_a_cloud_of_clouds_yaml_that_changes_needs_no_restart(
    keystone: ScriptedKeystone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def clouds(password: str) -> None:
        auth = {"auth_url": keystone.url, "username": "orchestrator", "password": password}
        cloud = {"auth": auth, "region_name": "RegionOne"}
        (tmp_path / "clouds.yaml").write_text(yaml.safe_dump({"clouds": {"here": cloud}}))

    clouds("wrong")
    use(monkeypatch, {"OS_CLOUD": "here", "OS_CLIENT_CONFIG_FILE": str(tmp_path / "clouds.yaml")})
    door = Heat()
    error = raised(lambda: door.create(request(), TAG))
    assert type(error) is CredentialsRejected and "clouds.yaml" in str(error)

    clouds(keystone.password)
    door.create(request(), TAG)


# The environment -----------------------------------------------------------------------------------

GOOD = {
    "OS_AUTH_URL": "KEYSTONE",
    "OS_USERNAME": "orchestrator",
    "OS_PASSWORD": "secret",
    "OS_USER_DOMAIN_NAME": "Default",
    "OS_REGION_NAME": "RegionOne",
}

WRONG: dict[str, tuple[dict[str, str], str]] = {
    "nothing at all": (dict.fromkeys(GOOD, ""), r"OS_\* variables: none is set"),
    "no address": ({"OS_AUTH_URL": ""}, "OS_AUTH_URL not set"),
    "no password": ({"OS_PASSWORD": ""}, "OS_PASSWORD not set for user orchestrator"),
    "no user": ({"OS_USERNAME": ""}, "OS_USERNAME not set"),
    "an address without a scheme": (
        {"OS_AUTH_URL": "keystone:5000"},
        "OS_AUTH_URL is 'keystone:5000'",
    ),
    "an address without a host": ({"OS_AUTH_URL": "http:///v3"}, "OS_AUTH_URL is 'http:///v3'"),
    "an address with a bad port": ({"OS_AUTH_URL": "http://k:port/v3"}, "OS_AUTH_URL is"),
    "a CA file that is not there": (
        {"OS_CACERT": "/nowhere/ca.pem"},
        r"CA file .* /nowhere/ca\.pem",
    ),
    "a CA file as OS_VERIFY": ({"OS_VERIFY": "/nowhere/ca.pem"}, r"CA file .* /nowhere/ca\.pem"),
    "a client certificate that is not there": (
        {"OS_CERT": "/nowhere/c.pem", "OS_KEY": "/nowhere/k.pem"},
        r"client certificate .* /nowhere/c\.pem",
    ),
    "an unknown way to log in": (
        {"OS_AUTH_TYPE": "magic"},
        r"auth_type \(OS_AUTH_TYPE\) 'magic' is unknown",
    ),
    "a wrong region": (
        {"OS_REGION_NAME": "Elsewhere"},
        "names Heat for RegionOne/internal, RegionOne/public",
    ),
    "a wrong interface": (
        {"OS_INTERFACE": "admin"},
        "but not for region RegionOne, interface admin",
    ),
    "no Keystone wanted, and no Heat named": ({"OS_AUTH_TYPE": "none"}, "OS_ENDPOINT has to say"),
    "no Keystone wanted, and a bad address": (
        {"OS_AUTH_TYPE": "none", "OS_ENDPOINT": "heat:8004"},
        "OS_ENDPOINT or OS_ORCHESTRATION_ENDPOINT_OVERRIDE",
    ),
    "an application credential without its secret": (
        {"OS_AUTH_TYPE": "v3applicationcredential", "OS_APPLICATION_CREDENTIAL_ID": "x"},
        "OS_APPLICATION_CREDENTIAL_SECRET not set for application credential x",
    ),
    "an application credential without an id": (
        {"OS_AUTH_TYPE": "v3applicationcredential", "OS_APPLICATION_CREDENTIAL_SECRET": "x"},
        "OS_APPLICATION_CREDENTIAL_ID not set",
    ),
    "a cloud, and no clouds.yaml": (
        {"OS_CLOUD": "nowhere"},
        "OS_CLOUD=nowhere: there is no clouds.yaml",
    ),
    "a token that is none": (
        {"OS_AUTH_TYPE": "v3token", "OS_TOKEN": "x"},
        "Keystone rejects|no token",
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_an_environment_that_cannot_be_used_says_what_is_wrong(
    what: str, keystone: ScriptedKeystone, heat: ScriptedHeat, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes, words = WRONG[what]
    given = {**GOOD, "OS_AUTH_URL": keystone.url, **changes}
    use(monkeypatch, {name: value for name, value in given.items() if value})

    with pytest.raises(CredentialsRejected, match=words) as caught:
        Heat().create(request(), TAG)

    assert "\n" not in str(caught.value)
    assert heat.requests == []


CLOUDS: dict[str, tuple[str, str]] = {
    "no such cloud": ("clouds: {there: {auth: {auth_url: 'http://k/v3'}}}", "it has: there"),
    "broken YAML": ("clouds: [", "clouds.yaml: .*expected"),
    "a list": ("- here", "not a valid mapping|no such cloud"),
    "a cloud that is a number": ("clouds: {here: 5}", "no such cloud|cannot be used"),
    "an auth that is a number": ("clouds: {here: {auth: 5}}", "cannot be used"),
    "empty": ("", "not a valid mapping|no such cloud"),
}


@pytest.mark.parametrize("what", CLOUDS)
def test_a_clouds_yaml_that_cannot_be_used_says_what_is_wrong(
    what: str, keystone: ScriptedKeystone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text, words = CLOUDS[what]
    (tmp_path / "clouds.yaml").write_text(text)
    use(monkeypatch, {"OS_CLOUD": "here", "OS_CLIENT_CONFIG_FILE": str(tmp_path / "clouds.yaml")})

    with pytest.raises(EnvironmentUnusable, match=words):
        Heat().create(request(), TAG)


@pytest.mark.parametrize("word", ["", "true", "True", "yes", "1", "false", "no", "0"])
def test_os_verify_is_a_word_and_not_the_name_of_a_file(
    word: str, keystone: ScriptedKeystone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OS_VERIFY", word)

    Heat().create(request(), TAG)


def test_the_scopes_of_the_environment_do_not_matter_to_a_tenant(
    keystone: ScriptedKeystone, heat: ScriptedHeat, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Several at once are an error for the openstack command. Here a token is scoped to the tenant."""
    for name, value in {
        "OS_PROJECT_NAME": "admin",
        "OS_PROJECT_ID": "t2",
        "OS_SYSTEM_SCOPE": "all",
        "OS_DOMAIN_ID": "default",
    }.items():
        monkeypatch.setenv(name, value)

    Heat().create(request(), TAG)

    assert [taken.tenant for taken in heat.requests] == ["t1"]


def test_a_catalogue_without_heat_is_told(
    keystone: ScriptedKeystone, monkeypatch: pytest.MonkeyPatch
) -> None:
    keystone.heat = ""

    with pytest.raises(EnvironmentUnusable, match="names no service of type orchestration"):
        Heat().create(request(), TAG)


def test_an_address_of_heat_that_is_given_needs_no_catalogue(
    keystone: ScriptedKeystone, heat: ScriptedHeat, monkeypatch: pytest.MonkeyPatch
) -> None:
    keystone.heat = ""
    monkeypatch.setenv("OS_ORCHESTRATION_ENDPOINT_OVERRIDE", f"{heat.url}/v1")

    Heat().create(request(), TAG)

    assert [taken.tenant for taken in heat.requests] == ["t1"]


def test_credentials_that_cannot_be_used_are_not_read_again_for_every_job(
    keystone: ScriptedKeystone, monkeypatch: pytest.MonkeyPatch
) -> None:
    password = os.environ["OS_PASSWORD"]
    monkeypatch.delenv("OS_PASSWORD")
    clock = ManualClock()
    door = Heat(clock=clock.clock)
    errors = [raised(lambda: door.create(request(), TAG))]
    monkeypatch.setenv("OS_PASSWORD", password)
    errors += [raised(lambda: door.create(request(), TAG)) for _ in range(50)]
    assert {type(error) for error in errors} == {EnvironmentUnusable}

    clock.pass_(cloud.READ_AGAIN)
    door.create(request(), TAG)


def test_a_check_runs_beside_requests(keystone: ScriptedKeystone) -> None:
    """The check is made in a thread of its own while the worker starts."""
    door = Heat()
    names: list[str] = []
    thread = threading.Thread(target=lambda: names.append(door.check()))
    thread.start()
    door.create(request(), TAG)
    thread.join(10)

    assert names == [f"user orchestrator at http://127.0.0.1:{keystone.port}"]
    assert keystone.logins == [True]
