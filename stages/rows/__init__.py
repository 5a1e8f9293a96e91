"""From reviewed raw rows to what training and evaluation read: reading, splitting, and the kinds of prepared rows."""
