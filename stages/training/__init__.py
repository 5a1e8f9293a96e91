"""One training: the rows in their order, what all methods share, and the five methods side by side."""
