"""What happened to a resource: one view over two sources.

etcd keeps the earlier revisions of a key until it is compacted; :mod:`.past` reads them. The
historian (:mod:`.following`) follows the watch into a database, which keeps them for longer.

====================  ========================================================================
:mod:`.changes`       a change of one record; which records there are, and whose
:mod:`.past`          earlier revisions of the records of one resource, read from etcd
:mod:`.telling`       what a change says: a sentence, a time, an author
:mod:`.differences`   what differs between two documents
:mod:`.veiling`       what may be shown of the changes of a resource
:mod:`.timeline`      the changes of a resource, in order, as they are shown
:mod:`.moments`       moments as a command line names them
:mod:`.reading`       the changes of a resource, from both sources
:mod:`.wanted`        the wanted configuration of an earlier moment, or version
:mod:`.database`      the one door to the historian's database
:mod:`.sources`       that door for whoever may do without it
:mod:`.following`     the historian: from the watch into the database
:mod:`.service`       the historian as a process
====================  ========================================================================
"""
