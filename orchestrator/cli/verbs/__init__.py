"""The verbs of operators: whom they name, who asked for them, and how they reach the leader.

===================  =========================================================================
:mod:`.authors`      who asks, why and when: the record of a verb
:mod:`.selecting`    whom a command line names: the same words for every verb
:mod:`.requesting`   requests to the leading bridge, each with its record
:mod:`.listing`      what people asked for lately: ``history --verbs``
:mod:`.answers`      what the leading bridge made of a verb
:mod:`.pausing`      pause and resume; :mod:`.pauses_text`: what `status` says of them
:mod:`.cancelling`   cancel
:mod:`.adopting`     adopt
:mod:`.leaving`      release and forget
:mod:`.draining`     drain
===================  =========================================================================
"""
