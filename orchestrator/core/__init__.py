"""The decisions: pure functions and frozen values, in the order in which data flows.

``schemas`` and ``keys`` say what exists and where; ``resources`` parses what comes in; ``mapping``
says where a parameter's value comes from; ``templates`` and ``rendering`` make Heat's text;
``jobs`` is the job record; ``planning`` turns a change into a job; ``stacks`` judges what Heat
answers; ``records`` and ``monitoring`` are what is written back; ``texts`` bounds what others have
worded, ``masking`` hides secrets in it and ``confidential`` says which values are secret;
``addresses`` says where a monitoring link may lead.

Nothing here opens a socket or a file, reads a clock or the environment, or logs. import-linter
keeps it so (``setup.cfg``).
"""
