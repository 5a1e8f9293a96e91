"""What every part stands on: paths, params, files, errors, intervals, the host. It imports nothing else of `stages`."""
