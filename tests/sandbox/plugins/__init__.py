"""Resource types of the tests; Heat loads every module here (``plugin_dirs``)."""
