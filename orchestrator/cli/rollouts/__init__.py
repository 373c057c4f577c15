"""``orchestrator rollout``: a changed template reaches its stacks step by step.

``command`` is what a person types, ``deciding`` what each command makes of the record, ``showing``
what is printed.
"""
