"""One scorer for every model: log-probabilities, greedy answers and what their text is worth.

Trainers report metrics of their own, averaged over batches and so dependent on the batch size; none of them is a
result. What is compared comes from here.
"""
