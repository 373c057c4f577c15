"""``orchestrator plan`` and ``apply --plan``: see changes before they happen."""
