"""What a command line wants to change, before it is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...clients import catalogue
from ...clients.store import Store
from ...core.checks.bodies import Shapes
from ...core.keys import Keys
from ...core.refs import Json, Ref
from ...core.templates import TEMPLATE_TYPE
from ...errors import InvalidInput
from .. import documents, naming, writing
from ..writing import Written


@dataclass(frozen=True, slots=True)
class Edits:
    """Resources and templates to be written, those to be deleted, and those to be built again."""

    puts: Mapping[Ref, Mapping[str, Json]]
    deletions: Sequence[Ref] = ()
    rebuilds: frozenset[Ref] = frozenset()

    @property
    def empty(self) -> bool:
        return not (self.puts or self.deletions or self.rebuilds)

    def write(self, store: Store, keys: Keys) -> list[Written]:
        """Write them, as ``apply`` and ``delete`` do.

        :raises InvalidInput: one of them cannot be written.
        """
        written = [
            writing.put(store, keys, ref, body)
            for ref, body in self.puts.items()
        ]
        marked = [writing.mark(store, keys, ref) for ref in self.deletions]
        return written + marked


NONE = Edits({})


def of_command(
    keys: Keys,
    files: Sequence[str],
    templates: Sequence[str],
    deletions: Sequence[str],
    *,
    validate: bool = True,
) -> Edits:
    """The edits that a command line names.

    :param deletions: ``type:id`` each.
    :param templates: folders of a catalogue's form, or files of documents.
    :raises InvalidInput: one line for each fault, with its file and line.
    """
    folders = [name for name in templates if Path(name).is_dir()]
    others = [name for name in templates if name not in folders]
    found = documents.read([*files, *others])
    shapes = Shapes(keys.schemas.json_schema) if validate else None
    checked = documents.check(keys, found, shapes=shapes)
    puts: dict[Ref, Mapping[str, Json]] = {
        document.ref: document.body for document in checked
    }
    for folder in folders:
        puts |= _of_folder(Path(folder))
    named = [name.split(":", 1) for name in deletions]
    deleted = [naming.resource(keys, *pair) for pair in named]
    if both := [ref for ref in deleted if ref in puts]:
        raise InvalidInput(f"{both[0]} is to be written and to be deleted")
    return Edits(puts, list(dict.fromkeys(deleted)))


def _of_folder(folder: Path) -> dict[Ref, Mapping[str, Json]]:
    """The templates of a catalogue, or of one of its entries.

    :raises InvalidInput: there is none, or one cannot be read.
    """
    is_entry = (folder / "mapping.yaml").exists()
    known = catalogue.load(folder.parent if is_entry else folder).documents
    chosen = {
        Ref(TEMPLATE_TYPE, name): document
        for name, document in known.items()
        if not is_entry or name == folder.name
    }
    if not chosen:
        raise InvalidInput(f"{folder}: there is no template in this folder")
    return chosen
