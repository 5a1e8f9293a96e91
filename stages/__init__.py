"""The pipeline: one module per stage of dvc.yaml, and the packages that several of them share."""

from stages.core.process import begin, is_run_as_module

if is_run_as_module():  # a stage; importing this as a library changes nothing in the process
    begin()
