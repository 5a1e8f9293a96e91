"""What is better than what, on measured scores: data, no English."""
