"""Judgements about what people write, made before anything is written or built: bodies, types,
mappings, HOT.

Each check takes values and gives :class:`~.findings.Finding` values: where in the document, and
what is wrong.
"""
