"""What the world holds: its containers, and the indexes that follow each change of them."""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Mapping, Set
from dataclasses import replace

from ..graph import JobGraph
from ..policies import Follow
from ..records import Built, Failed, Handled, Held, Rollout
from ..refs import JobId, Ref
from ..removals import Removals
from ..resources import Wanted
from ..schemas import Schemas
from ..templates import BadTemplate, Template
from .values import Lagging, Pin, Reported, Seen, Stack

_NO_TEMPLATES: Mapping[str, Template] = {}


class Index:
    """The resources of which others are the cause, by cause, in the order of their coming."""

    def __init__(self) -> None:
        self._caused: defaultdict[Ref, dict[Ref, None]] = defaultdict(dict)

    def __getitem__(self, cause: Ref) -> Iterable[Ref]:
        return self._caused.get(cause, ())

    def add(self, ref: Ref, causes: Iterable[Ref]) -> None:
        """*ref* is there because of all these."""
        for cause in causes:
            self._caused[cause][ref] = None

    def remove(self, ref: Ref, causes: Iterable[Ref]) -> None:
        """*ref* is there because of these no more."""
        for cause in causes:
            caused = self._caused[cause]
            caused.pop(ref, None)
            if not caused:
                del self._caused[cause]


class Contents:
    """The containers. Others read them; only methods change them."""

    schemas: Schemas
    """The types of the schema list in force."""
    graph: JobGraph
    """The unfinished jobs."""
    removals: Removals
    """The configs that were removed without a mark, and whose stacks are still there."""
    wanted: Mapping[Ref, Wanted]
    """The configs that can be used."""
    templates: Mapping[str, Template | BadTemplate]
    """The templates in force."""
    stacks: Mapping[Ref, Stack]
    """What the stack records say."""
    reported: Mapping[Ref, Reported]
    """What the state records say."""
    handled: Mapping[Ref, Handled]
    """The configs that were last turned into jobs."""
    held: Mapping[Ref, Held]
    """The configs that wait for something."""
    failed: Mapping[Ref, Failed]
    """The versions that failed."""
    built_from: Mapping[Ref, Built]
    """What the stacks were built from."""
    outputs: Mapping[Ref, Mapping[str, str]]
    """The digests of a stack's outputs by key, of the stacks of which others read outputs."""
    lagging: Mapping[Ref, Lagging]
    """The resources that are outdated and are not rebuilt by themselves."""
    follow: Follow
    """What happens to a stack when an output changes that it was built from, where its template
    does not say."""
    rollouts: Mapping[str, Rollout]
    """The last roll-out of each template."""
    pins: Mapping[Ref, Pin]
    """The resources that roll-outs have taken."""
    runs: Mapping[JobId, Seen]
    """The runs of jobs that a worker has taken."""
    unreadable: Set[Ref]
    """Resources whose config is there and has never been readable: neither wanted nor gone."""
    unsettled: Set[Ref]
    """Resources whose last decision could not be written, because their config had changed."""
    again: Set[Ref]
    """Resources whose version is to be tried once more though it was handled."""
    forced: Set[Ref]
    """Those of them whose stack in Heat is to be taken as it is: an operator decided so."""
    asked: Set[Ref]
    """Those of them for which an operator has asked."""
    drifted: Set[Ref]
    """Resources whose stacks Heat has otherwise than they were built."""
    dirty: Mapping[Ref, None]
    """Resources to be decided, in order of arrival."""

    _witnessed: set[JobId]
    """Jobs that this leader has made, and of which it has lost no run.
    Over others a worker may have died while nobody led: Heat may have taken what no record tells
    of."""

    def __init__(
        self,
        schemas: Schemas,
        *,
        catalogue: Mapping[str, Template] = _NO_TEMPLATES,
        wanted: Mapping[Ref, Wanted] | None = None,
        templates: Mapping[str, Template | BadTemplate] | None = None,
        follow: Follow = Follow.AUTO,
    ) -> None:
        """
        :param catalogue: the templates that are in force where etcd has none.
        :param wanted: configs that are there already.
        :param templates: the templates in force; default: the catalogue's.
        """
        if templates is None:
            templates = catalogue
        self.schemas, self.follow = schemas, follow
        self.graph = JobGraph()
        self.removals = Removals()
        self.wanted = self._wanted = dict(wanted or {})
        self.templates = self._templates = dict(templates)
        self._catalogue = catalogue
        self._make_record_containers()
        self._make_marks()

    def _make_record_containers(self) -> None:
        """What records say of resources and jobs, and the indexes of it."""
        self.stacks = self._stacks = dict[Ref, Stack]()
        self._known_stacks: dict[Stack, Stack] = {}
        self.reported = self._reported = dict[Ref, Reported]()
        self.handled = self._handled = dict[Ref, Handled]()
        self.held = self._held = dict[Ref, Held]()
        self.failed = self._failed = dict[Ref, Failed]()
        self.built_from = self._built_from = dict[Ref, Built]()
        self.outputs = self._outputs = dict[Ref, Mapping[str, str]]()
        self.lagging = self._lagging = dict[Ref, Lagging]()
        self.rollouts = self._rollouts = dict[str, Rollout]()
        self.pins = self._pins = dict[Ref, Pin]()
        self.runs = self._runs = dict[JobId, Seen]()
        self._referrers = Index()
        self._waiting = Index()
        self._failed_because_of = Index()
        self._readers = Index()
        self._lagging_behind = Index()

    def _make_marks(self) -> None:
        """What is to be done next, and what is uncertain."""
        self._witnessed = set()
        self.unreadable = self._unreadable = set[Ref]()
        self.unsettled = self._unsettled = set[Ref]()
        self.again = self._again = set[Ref]()
        self.forced = self._forced = set[Ref]()
        self.asked = self._asked = set[Ref]()
        self.drifted = self._drifted = set[Ref]()
        # The first one of a plain dict is found only past the gaps of all that were removed before
        # it: emptying a hundred thousand from the front takes seconds.
        self.dirty = self._dirty = OrderedDict[Ref, None]()

    # What is to be decided ------------------------------------------------------------------------

    def touch(self, *refs: Ref) -> None:
        """These are to be decided."""
        for ref in refs:
            self._dirty[ref] = None

    def decided(self, ref: Ref) -> None:
        """The resource is decided, until something touches it again."""
        self._dirty.pop(ref, None)

    def note_written(self, ref: Ref, *, written: bool) -> None:
        """Whether the last decision about a resource could be written."""
        if written:
            self._unsettled.discard(ref)
        else:
            self._unsettled.add(ref)

    def try_again(
        self, *refs: Ref, asked: bool = False, force: bool = False
    ) -> None:
        """The versions of these are to be tried once more though they were handled.

        :param asked: an operator has asked for it.
        :param force: their stacks in Heat are to be taken as they are.
        """
        self._again.update(refs)
        if asked:
            self._asked.update(refs)
        if force:
            self._forced.update(refs)
        self.touch(*refs)

    def leave(self, *refs: Ref) -> None:
        """These are not to be tried once more after all."""
        self._again.difference_update(refs)

    def is_dealt_with(self, ref: Ref) -> None:
        """The version is handled: nobody asks for another try any more, and it is not held."""
        self._again.discard(ref)
        self._forced.discard(ref)
        self._asked.discard(ref)
        self.set_held(ref, None)
        self.set_lagging(ref, None)

    def note_drift(self, ref: Ref, *, drifted: bool) -> None:
        """Whether Heat has the stack otherwise than it was built. What was held because of that is
        to be decided again."""
        if drifted:
            self._drifted.add(ref)
        elif ref in self._drifted:
            self._drifted.discard(ref)
            self.touch(ref)

    # What records say -----------------------------------------------------------------------------

    def note_report(self, ref: Ref, version: int, revision: int) -> None:
        """A state record was written.

        :param revision: the record's.
        """
        self._reported[ref] = Reported(version, revision)

    def note_stack(self, ref: Ref, stack: Stack) -> None:
        """What the stack record says now. Equal values are kept once: there are few of them."""
        self._stacks[ref] = self._known_stacks.setdefault(stack, stack)

    def set_handled(self, ref: Ref, handled: Handled | None) -> None:
        """The config that was last turned into a job, or refused; None: there is none any more."""
        old = self._handled.pop(ref, None)
        if old is not None:
            self._referrers.remove(ref, old.refs() | old.stands_on)
        if handled is not None:
            self._handled[ref] = handled
            self._referrers.add(ref, handled.refs() | handled.stands_on)

    def completed(self, ref: Ref) -> None:
        """The newest version of the resource is built: its stack stands on nothing else any
        more."""
        handled = self._handled.get(ref)
        if handled is not None and handled.stands_on:
            self.set_handled(ref, replace(handled, stands_on=frozenset()))

    def set_held(self, ref: Ref, held: Held | None) -> None:
        """The config waits for something; None: it waits no more."""
        old = self._held.pop(ref, None)
        if old is not None:
            self._waiting.remove(ref, (old.waits_for,))
        if held is not None:
            self._held[ref] = held
            self._waiting.add(ref, (held.waits_for,))

    def set_failed(self, ref: Ref, failed: Failed | None) -> None:
        """The version failed; None: it is built, or gone."""
        old = self._failed.pop(ref, None)
        if old is not None:
            self._failed_because_of.remove(ref, old.causes)
        if failed is not None:
            self._failed[ref] = failed
            self._failed_because_of.add(ref, failed.causes)

    # What stacks are built from -------------------------------------------------------------------

    def set_built(self, ref: Ref, built: Built | None) -> None:
        """What the stack was built from; None: nobody knows, or it is gone."""
        old = self._built_from.pop(ref, None)
        if old is not None and old.reads:
            self._readers.remove(ref, {output.ref for output in old.reads})
        if built is not None:
            self._built_from[ref] = built
            self._readers.add(ref, {output.ref for output in built.reads})

    def set_lagging(self, ref: Ref, lagging: Lagging | None) -> None:
        """The resource is outdated and stays so; None: it is not."""
        old = self._lagging.pop(ref, None)
        if old is not None:
            self._lagging_behind.remove(ref, old.causes)
        if lagging is not None:
            self._lagging[ref] = lagging
            self._lagging_behind.add(ref, lagging.causes)

    # Roll-outs ------------------------------------------------------------------------------------

    def set_rollout(self, template_id: str, rollout: Rollout | None) -> None:
        """The last roll-out of a template; None: there has been none."""
        self._rollouts.pop(template_id, None)
        if rollout is not None:
            self._rollouts[template_id] = rollout

    def set_pins(self, template_id: str, pins: Mapping[Ref, Pin]) -> None:
        """The resources that the roll-out of a template has taken: these, and no others."""
        kept = {
            ref: pin
            for ref, pin in self._pins.items()
            if pin.record != template_id
        }
        self._pins.clear()
        self._pins.update(kept)
        self._pins.update(pins)

    def pin(self, ref: Ref, pin: Pin) -> None:
        """A roll-out takes a resource."""
        self._pins[ref] = pin
