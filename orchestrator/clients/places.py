"""Where resources lie whose keys are made of more than their ids (``sync_key_template``, CONTRACT
section 2)."""

from __future__ import annotations

from collections.abc import Iterable

from ..core.keys import Keys
from ..core.records import Handled
from ..core.refs import Ref
from ..core.schemas import HEAT_TEMPLATES_PATH
from ..core.templates import TEMPLATE_TYPE
from .store import Store


def config_key(keys: Keys, ref: Ref) -> str:
    """Where the wanted configuration lies; templates have their place even when the schema list
    does not name them."""
    if keys.schemas.get(ref.type) is None and ref.type == TEMPLATE_TYPE:
        return f"{keys.config}{HEAT_TEMPLATES_PATH}/{ref.id}"
    return keys.below(keys.config, ref)


def locate(store: Store, keys: Keys, refs: Iterable[Ref]) -> None:
    """Have *keys* know the places of these resources, as far as a record tells them.

    Nearly every type has keys of its path and the id: then nothing is read.
    """
    unknown = [ref for ref in refs if not keys.is_placed(ref)]
    if not unknown:
        return
    records = {keys.below(keys.handled, ref): ref for ref in unknown}
    for key, kv in store.get_many(list(records)).items():
        try:
            keys.place(records[key], Handled.from_json(kv.value).body)
        except (ValueError, KeyError, TypeError):
            continue  # It is told where the record is read.


def search(store: Store, keys: Keys, ref: Ref) -> bool:
    """The same for one resource, by going through the configs of its type where no record tells;
    whether it is known."""
    locate(store, keys, [ref])
    kind = keys.schemas.get(ref.type)
    if kind is not None and not keys.is_placed(ref):
        root = keys.config
        if kind.outside_config:
            root = "/"
        for kv in store.list(f"{root}{kind.pattern.folder}/", keys_only=True)[
            1
        ]:
            if keys.ref(keys.config, kv.key) == ref:
                break
    return keys.is_placed(ref)
