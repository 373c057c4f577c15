"""The record of one revision of a template."""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from ...errors import InvalidInput, TemplateError
from ..documents import members
from ..refs import Json
from ..templates import Template, parse_template

LARGEST_STORED = 1024 * 1024
"""Characters of a compressed template in etcd, whose default limit for one request is 1.5 MiB."""
_LARGEST = 4 * 1024 * 1024
"""Bytes of a template as it is unpacked: its text has at most 512 Ki characters."""


@dataclass(frozen=True, slots=True)
class TemplateRevision:
    """One revision of a template: ``orchestrator/templates/<template>/<revision>``.

    Of several, the one that was written last is in force.
    """

    template: str
    """The template's id."""
    revision: str
    """The digest of the content."""
    since: str
    """When the leader saw it come into force (``2026-11-27T21:49:01Z``)."""
    content: Mapping[str, Json] = field(repr=False)
    """``{"template_file", "parameter_mappings"}``"""

    @classmethod
    def of(cls, template: Template, since: str) -> TemplateRevision:
        """The revision that a template has."""
        return cls(template.id, template.revision, since, template.source)

    def parsed(self) -> Template:
        """The template.

        :raises TemplateError: this release cannot use it.
        """
        return parse_template(self.template, self.content)

    def to_json(self) -> str:
        """:raises InvalidInput: the content is more than etcd takes."""
        # The order of the mappings stays: it is that of the parameters.
        plain = json.dumps(dict(self.content)).encode()
        packed = base64.b64encode(zlib.compress(plain, 9)).decode()
        if len(packed) > LARGEST_STORED:
            raise InvalidInput(
                f"revision {self.revision} of template {self.template} takes"
                f" {len(packed)} characters in etcd; the limit is {LARGEST_STORED}"
            )
        record = {
            "template": self.template,
            "revision": self.revision,
            "since": self.since,
            "content": packed,
        }
        return json.dumps(record)

    @classmethod
    def from_json(cls, text: str | bytes) -> TemplateRevision:
        """:raises ValueError: it is no such record, or its content is another one's."""
        record = json.loads(text)
        content = _unpacked(record["content"])
        found = cls(
            record["template"], record["revision"], record["since"], content
        )
        try:
            revision = found.parsed().revision
        except TemplateError as error:
            raise ValueError(f"its content is no template: {error}") from error
        if revision != found.revision:
            raise ValueError("its revision is not that of its content")
        return found


def _unpacked(packed: str) -> Mapping[str, Json]:
    try:
        raw = base64.b64decode(packed, validate=True)
        plain = zlib.decompressobj().decompress(raw, _LARGEST)
    except (zlib.error, binascii.Error) as error:
        raise ValueError(f"it cannot be unpacked: {error!r}") from error
    return members(json.loads(plain))
