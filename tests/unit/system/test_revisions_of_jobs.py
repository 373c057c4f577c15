"""From which revision of its template each job is built, while the template changes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from orchestrator.core.records import Built, RetryAsked, RolloutPhase
from orchestrator.core.refs import Ref
from orchestrator.core.templates import parse_template

from tests.factories import HOT, network

from .driver import System, complete
from .test_rollouts import BEFORE, ID, Operator, build, fails, template

TEXT = parse_template(ID, {**BEFORE.source, "template_file": f"{HOT}# text\n"})
"""Another text, and the mappings of the one before."""
OTHER = template("# other\n", title="Pname")
"""Another text, and a mapping more."""
N1 = network("n1")


@pytest.fixture
def system() -> Iterator[System]:
    with System() as running:
        yield running


def revision(system: System, ref: Ref) -> str:
    found = system.store.get(system.keys.below(system.keys.built, ref))
    assert found is not None
    return Built.from_json(found.value).revision


def parameters(system: System, ref: Ref) -> list[Mapping[str, Any]]:
    """The parameters of each request that Heat got for a resource."""
    return [
        one.request.parameters
        for one in system.heat.requests
        if one.request is not None and one.name == ref.stack_name
    ]


# A push while a job waits ------------------------------------------------------------------------


def pushed_under_a_job(system: System, operator: Operator) -> None:
    """A job is made, and no worker takes it before another revision is in force."""
    system.put(N1)
    system.lead_until(system.jobs_made)
    operator.push(operator.new)
    system.until(lambda: system.reported(n1=("CREATE_COMPLETED", 1)) and system.idle())


def test_a_job_takes_in_a_text_that_was_pushed_after_it_was_made(system: System) -> None:
    pushed_under_a_job(system, Operator(system, TEXT))

    assert revision(system, N1) == TEXT.revision


def test_a_job_never_gets_a_text_whose_mappings_have_not_made_its_parameters(
    system: System,
) -> None:
    pushed_under_a_job(system, Operator(system, OTHER))

    assert revision(system, N1) == BEFORE.revision
    assert parameters(system, N1) == [{"name": "n1"}]


def test_of_a_job_whose_revision_is_not_kept_the_record_says_that_it_is_not_certain(
    system: System,
) -> None:
    operator = Operator(system, OTHER)
    system.put(N1)
    system.lead_until(system.jobs_made)
    system.store.delete(system.keys.revision(ID, BEFORE.revision))
    operator.push(OTHER)
    system.until(lambda: system.reported(n1=("CREATE_COMPLETED", 1)) and system.idle())

    assert revision(system, N1) == ""


# Roll-outs ---------------------------------------------------------------------------------------


def write(system: System, ref: Ref) -> None:
    """The next version."""
    system.put(ref, 2)


def rebuild(system: System, ref: Ref) -> None:
    """A person asks for the version that is there."""
    job = system.term.world.handled[ref].job
    asked = RetryAsked(rebuild=job).to_json()
    system.store.put(system.keys.below(system.keys.retries, ref), asked)


def fail_and_retry(system: System, ref: Ref) -> None:
    """A version fails, and a person has it tried again."""
    system.outcome = fails(ref.stack_name)
    system.put(ref, 2)
    system.until(lambda: system.worker_state(ref) == ("MODIFY_FAILED", 2) and system.idle())
    system.outcome = complete
    system.store.put(system.keys.below(system.keys.retries, ref), RetryAsked().to_json())


def fail_and_repair(system: System, ref: Ref) -> None:
    """A version fails, and the next one repairs its stack."""
    system.outcome = fails(ref.stack_name)
    system.put(ref, 2)
    system.until(lambda: system.worker_state(ref) == ("MODIFY_FAILED", 2) and system.idle())
    system.outcome = complete
    system.put(ref, 3)


def lose(system: System, ref: Ref) -> None:
    """Its stack is lost behind our back, and the next version builds it again."""
    system.heat.remove(ref.stack_name)
    system.put(ref, 2)


@pytest.mark.parametrize("change", [write, rebuild, fail_and_retry, fail_and_repair, lose])
@pytest.mark.parametrize("is_canary", [False, True])
def test_until_promotion_each_job_of_a_canary_has_the_candidate_and_all_others_the_one_before(
    system: System,
    change: Callable[[System, Ref], None],
    is_canary: bool,
) -> None:
    """By another leader than the one that has chosen the canaries."""
    operator = build(system, 4)
    operator.new = OTHER
    operator.start(canary=2, fail_after=1)
    system.until(operator.in_phase(RolloutPhase.WAITING))
    refs = [network(f"n{number}") for number in range(4)]
    ref = next(ref for ref in refs if (ref in operator.rollout.canaries) is is_canary)
    system.kill()
    system.start()
    made = len(system.jobs_made())
    change(system, ref)
    world = system.term.world
    system.until(lambda: len(system.jobs_made()) > made and system.idle() and not world.failed)

    expected = OTHER if is_canary else BEFORE
    assert revision(system, ref) == expected.revision
    assert ("title" in parameters(system, ref)[-1]) is is_canary
    assert operator.built() == {BEFORE.revision: 2, OTHER.revision: 2}
    assert operator.rollout.phase is RolloutPhase.WAITING


def test_a_job_of_before_the_promotion_is_built_whole_and_its_stack_follows_in_its_wave(
    system: System,
) -> None:
    operator = build(system, 4)
    operator.new = OTHER
    operator.start(canary=1)
    system.until(operator.in_phase(RolloutPhase.WAITING))
    ref = next(
        network(f"n{number}")
        for number in range(4)
        if network(f"n{number}") not in operator.rollout.canaries
    )
    made = len(system.jobs_made())
    system.put(ref, 2)
    system.lead_until(lambda: len(system.jobs_made()) > made)
    operator.promote()
    system.until(operator.in_phase(RolloutPhase.DONE))

    titles = ["title" in one for one in parameters(system, ref)]
    assert titles == [False, False, True]
    assert operator.built() == {OTHER.revision: 4}
    assert system.worker_state(ref) == ("MODIFY_COMPLETED", 2)
