"""Whether etcd's members have the same data."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from .cluster import Cluster, EtcdMember


class AnsweredCluster(Cluster):
    """Members that answer what a test says, by their names; others do not answer."""

    answers_of: Mapping[str, tuple[int, str]]
    """The revision, and what the member has; empty: history is dropped up to there."""

    def ask(
        self, member: EtcdMember, path: str, document: dict[str, Any], timeout: float = 2.0
    ) -> dict[str, Any]:
        if member.name not in self.answers_of:
            return {}
        revision, data = self.answers_of[member.name]
        if "revision" not in document:
            return {"header": {"revision": str(revision)}}
        assert document["revision"] == min(revision for revision, _ in self.answers_of.values())
        return {"kvs": [{"key": "YQ==", "value": data}]} if data else {}


def members(**answers: tuple[int, str]) -> AnsweredCluster:
    unused: Any = None
    found = AnsweredCluster(unused, unused)
    found.members = [
        EtcdMember(name, port, port, unused, Path(name))
        for port, name in enumerate(("etcd1", "etcd2", "etcd3"))
    ]
    found.answers_of = answers
    return found


def test_members_with_other_data_at_one_revision_are_named() -> None:
    differs = members(etcd1=(9, "a"), etcd2=(8, "a"), etcd3=(8, "b")).disagreement()

    assert differs.startswith("at revision 8 the members have different data")


@pytest.mark.parametrize(
    "answers",
    [
        pytest.param({"etcd1": (9, "a"), "etcd2": (8, "a"), "etcd3": (9, "a")}, id="same"),
        pytest.param({"etcd1": (9, "a"), "etcd2": (9, "")}, id="compacted there"),
        pytest.param({"etcd1": (9, "a")}, id="one answers"),
    ],
)
def test_members_of_which_nothing_tells_otherwise_agree(
    answers: dict[str, tuple[int, str]],
) -> None:
    assert members(**answers).disagreement() == ""
