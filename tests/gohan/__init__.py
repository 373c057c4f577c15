"""A stand-in for an upstream Gohan, as far as an orchestrator meets one.

It behaves as upstream's source says (cloudwan/gohan; the files are named where it matters), and is
no copy of it: resources in a dict instead of a database, one role for each token, no policies but
"may read these types".
"""
