"""``orchestrator status --watch``: an application for a terminal of 80 columns and 24 lines.

It is made with Textual, and only imported when it is asked for: importing it takes as long as a
whole command otherwise.
"""
