"""A Heat and a Keystone that say what a test wants them to say, over HTTP.

The sandbox runs a real Heat engine. A scripted one is for what a real one does not do when asked:
it is slow, refuses, answers nonsense, or is not there.
"""
