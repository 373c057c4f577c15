"""What is shown is computed here, as frozen values. The command line, the demo and ``/health`` only
format it.

In the order in which data flows:

* :mod:`.snapshot` keeps what etcd says about the resources, parsed.
* :mod:`.reading` reads a snapshot: of everything, or of a few resources and what they wait for.
* :mod:`.jobs` and :mod:`.standings` judge it: where a job stands, where a resource stands.
* :mod:`.overview`, :mod:`.outlook` and :mod:`.resource` are what ``status``, ``wait`` and ``get``
  show.
* :mod:`.following` keeps a snapshot up to date by a watch.
* :mod:`.health` says whether a bridge is well.
"""
