"""Whether etcd's members have the same data."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from .cluster import Cluster, EtcdMember


class AnsweredCluster(Cluster):
    """Members that answer what a test says, by their names; others do not answer."""

    answers_of: Mapping[str, tuple[int, int, int]]
    """Revision, hash and compacted revision."""

    def ask(
        self, member: EtcdMember, path: str, document: dict[str, Any], timeout: float = 2.0
    ) -> dict[str, Any]:
        if member.name not in self.answers_of:
            return {}
        revision, digest, compacted = self.answers_of[member.name]
        if path == "/v3/kv/range":
            return {"header": {"revision": str(revision)}}
        return {"hash": digest, "compact_revision": str(compacted)}


def members(**answers: tuple[int, int, int]) -> AnsweredCluster:
    unused: Any = None
    found = AnsweredCluster(unused, unused)
    found.members = [
        EtcdMember(name, port, port, unused, Path(name))
        for port, name in enumerate(("etcd1", "etcd2", "etcd3"))
    ]
    found.answers_of = answers
    return found


def test_members_with_other_data_at_one_revision_are_named() -> None:
    differs = members(etcd1=(9, 1, 5), etcd2=(8, 1, 5), etcd3=(8, 2, 5)).disagreement()

    assert differs == "at revision 8 the members have different data (etcd1: 1, etcd2: 1, etcd3: 2)"


@pytest.mark.parametrize(
    "answers",
    [
        pytest.param({"etcd1": (9, 1, 5), "etcd2": (8, 1, 5), "etcd3": (9, 1, 5)}, id="same"),
        pytest.param({"etcd1": (9, 1, 5), "etcd2": (9, 2, 7)}, id="compacted elsewhere"),
        pytest.param({"etcd1": (9, 1, 5)}, id="one answers"),
    ],
)
def test_members_of_which_nothing_tells_otherwise_agree(
    answers: dict[str, tuple[int, int, int]],
) -> None:
    assert members(**answers).disagreement() == ""
