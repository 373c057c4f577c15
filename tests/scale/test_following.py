"""Two thousand stacks that were built from one output."""

from __future__ import annotations

from collections import Counter

from tests.factories import network, port
from tests.unit.system.driver import System
from tests.unit.system.test_following import ChangingHeat, seed, settle, since

N1 = network("n1")


def test_two_thousand_users_are_updated_once_each_and_never_more_at_once_than_allowed() -> None:
    cloud = ChangingHeat()
    system = System(outcome=cloud)
    users = [port(f"u{number}") for number in range(2_000)]
    for user in users:
        seed(system, user)
    most = 0
    with system:
        system.put(N1)
        settle(system)
        assert not [made for made in system.asked() if made != ("create", "network_n1")]
        cloud.outputs["network_n1"] = "another"
        before = len(system.asked())
        system.put(N1, 2)

        def over() -> bool:
            nonlocal most
            most = max(most, len(system.heat.working()))
            return len(system.asked()) > before + len(users) and system.idle()

        system.until(over)

    assert since(system, before) == Counter(
        [("update", "network_n1"), *(("update", user.stack_name) for user in users)]
    )
    assert most <= system.timing.total_requests
