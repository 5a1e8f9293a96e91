"""The pretraining text of the embedded base: stories, sentences about countries, and worked arithmetic."""
