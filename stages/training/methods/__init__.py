"""The five methods side by side: one file each, in the same shape, so that a reader can diff them by eye."""
