"""The folder that Heat's `plugin_dirs` points to: Heat loads every module in it, by file name."""
