"""The historian's database: the one door to it. SQLite, or PostgreSQL, by SQLAlchemy Core.

==================  ==========================================================================
:mod:`.tables`      the tables as they are now
:mod:`.migrations`  how they came to be so, step by step
:mod:`.opening`     a connection; the database's errors in our words
:mod:`.writing`     what the historian writes
:mod:`.retention`   what is dropped
:mod:`.archive`     what commands read
==================  ==========================================================================
"""
