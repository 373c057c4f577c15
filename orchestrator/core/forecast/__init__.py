"""What would happen: the core's own decisions, made on paper and told as a plan.

Nothing in here decides. A rehearsal (:mod:`orchestrator.bridge.rehearsal`) lets the bridge's own
code decide on what etcd holds at one revision, plus what a plan would write. This package follows
what those decisions read (:mod:`.reads`), notes what they would write (:mod:`.journal`), and tells
people and programs what that means (:mod:`.explaining`, :mod:`.plans`).
"""
