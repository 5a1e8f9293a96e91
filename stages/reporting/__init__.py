"""What compare and report share: scores as matrices, shared ranks, tables, plots, the audit of the seed report."""
