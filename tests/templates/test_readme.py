"""The complete example of ``templates/README.md`` is one: put into the catalogue, it passes the check."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from orchestrator.cli import checking, entries
from orchestrator.clients import catalogue, heat_types
from orchestrator.core.source import read_yaml

FENCE = re.compile(r"```yaml\n# ([\w./]+)\n(.*?)```", re.S)


def test_the_example_of_a_new_type_passes_the_check(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(catalogue.default_folder(), tmp_path / "catalogue"))
    text = (folder / "README.md").read_text(encoding="utf-8")
    section = text.partition("## Adding a type")[2].partition("\n## ")[0]
    for name, content in FENCE.findall(section):
        file = folder / "disk" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)

    (checked,) = checking.check(entries.read(folder), heat_types.load(folder), ["disk"])

    assert checked.entry.template is not None
    assert [case.name for case in checked.entry.cases] == ["attached"]
    assert checked.problems == ()


def test_the_example_of_plug_ins_is_read() -> None:
    text = (catalogue.default_folder() / "README.md").read_text(encoding="utf-8")
    (content,) = [content for name, content in FENCE.findall(text) if name == "heat_types.yaml"]
    (document,) = read_yaml(content)

    kinds = heat_types.known().with_plugins(document.value).kinds

    assert {"Acme::Firewall", "Acme::Switch"} <= kinds.keys()
    assert kinds["Acme::Firewall"].properties["name"].required
