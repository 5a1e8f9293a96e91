"""Rows of the user, read: file formats, layouts of a record, and where a source lies."""
