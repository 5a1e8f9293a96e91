"""What a person runs beside `dvc`."""
