"""A stack as Heat shows it, and the tags that say whose it is and which job asked last."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b

from ..jobs import job_ref
from ..refs import JobId, Json, Ref
from ..texts import LONGEST_WORDS, cut

TAG_PREFIX = "orchestrator-"


OWNER_PREFIX = TAG_PREFIX + "owner-"
_LONGEST_TAG = 80
"""Characters that Heat takes in a tag, without a comma."""


def tag(job: JobId, tries: int = 0) -> str:
    """The tag of the job's operation: version and random part.
    Heat takes at most 80 characters and no comma.

    :param tries: how often Heat has taken a request of the job and failed it: each try has a tag of
        its own.
    """
    _, version, suffix = job.rsplit(":", 2)
    name = f"{TAG_PREFIX}{version}-{suffix}"
    if tries:
        return f"{name}-{tries}"
    return name


def owner_tag(ref: Ref) -> str:
    """The tag that says whose a stack is, for ``a_b`` with id ``c`` and ``a`` with id ``b_c`` have
    stacks of one name."""
    name = f"{OWNER_PREFIX}{ref}"
    if len(name) <= _LONGEST_TAG and "," not in name and name.isascii():
        return name
    return OWNER_PREFIX + blake2b(str(ref).encode(), digest_size=16).hexdigest()


def owner_of(stack: Stack) -> str:
    """Whose a stack is, by its tags: ``type:id``, or a digest where that is too long; empty when
    none says so."""
    owners = (
        tag.removeprefix(OWNER_PREFIX)
        for tag in stack.tags
        if tag.startswith(OWNER_PREFIX)
    )
    return next(owners, "")


def tags(job: JobId, tries: int = 0) -> str:
    """Both tags, as Heat takes them."""
    return f"{tag(job, tries)},{owner_tag(job_ref(job))}"


@dataclass(frozen=True, slots=True)
class Stack:
    """A stack as Heat shows it.

    *status* is ``<ACTION>_<STATUS>``; *outputs* is None where they were not asked for.
    *updated* is when it was last updated, checked or suspended (``2026-11-27T21:49:01Z``); empty
    when it was only created.
    """

    id: str
    name: str
    status: str
    reason: str = ""
    tags: tuple[str, ...] = ()
    outputs: Sequence[Json] | None = None
    updated: str = ""

    @property
    def action(self) -> str:
        return self.status.partition("_")[0]

    @property
    def in_progress(self) -> bool:
        return self.status.endswith("_IN_PROGRESS") or self.action == "INIT"

    @property
    def complete(self) -> bool:
        return self.status.endswith("_COMPLETE")

    @property
    def failed(self) -> bool:
        """Whether its last operation failed."""
        return self.status.endswith("_FAILED")

    @property
    def suspended(self) -> bool:
        """Whether things of it sleep: a resume that failed has left some so."""
        return self.action == "SUSPEND" or self.status == "RESUME_FAILED"

    @property
    def job_tags(self) -> tuple[str, ...]:
        """The tags of our jobs on it: one, where Heat keeps tags and nobody else changed the stack
        since."""
        return tuple(
            t
            for t in self.tags
            if t.startswith(TAG_PREFIX) and not t.startswith(OWNER_PREFIX)
        )

    @property
    def is_owned(self) -> bool:
        """Whether a tag of ours says whose it is."""
        return any(t.startswith(TAG_PREFIX) for t in self.tags)

    @classmethod
    def from_heat(cls, document: Mapping[str, Json]) -> Stack:
        """A stack of Heat's list or show."""
        return cls(
            id=document["id"],
            name=document["stack_name"],
            status=document.get("stack_status") or "",
            reason=cut(
                str(document.get("stack_status_reason") or ""), LONGEST_WORDS
            ),
            tags=tuple(document.get("tags") or ()),
            outputs=document.get("outputs"),
            updated=document.get("updated_time") or "",
        )


def carries(stack: Stack, job: JobId, tries: int = 0) -> bool:
    """Whether the stack's last operation of ours is this try of the job."""
    return tag(job, tries) in stack.tags


def owns(ref: Ref, stack: Stack, *, recorded: bool) -> bool:
    """Whether a stack of the resource's name is the resource's own, and not somebody else's of the
    same name.

    :param recorded: whether our records tell of a stack of this resource.
        Somebody else's update takes the tags away, so a stack without any is its own then.
    """
    owners = [t for t in stack.tags if t.startswith(OWNER_PREFIX)]
    if owners:
        return owner_tag(ref) in owners
    # Before there were tags of owners, there were those of jobs.
    return recorded or bool(stack.job_tags)
