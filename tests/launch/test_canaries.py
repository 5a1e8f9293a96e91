"""One test per behaviour of torchrun and accelerate that `stages.launch` relies on and no documentation promises."""

from __future__ import annotations

import pytest

from stages import launch
from stages.core.errors import PipelineError
from stages.core.params import Launch
from tests.support.canaries import canary


@pytest.mark.parametrize(
    ("by", "behaviour"),
    [
        ("torchrun", "torch.distributed.run starts processes from Python and names the first that failed"),
        ("accelerate_ddp", "accelerate.commands.launch does so through torch.distributed.run"),
    ],
)
def test_a_failed_process_is_named_by_the_engine_that_started_it(
    by: str, behaviour: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with canary(behaviour, launch.start):
        with pytest.raises(PipelineError) as caught:
            launch.start(Launch(by, 2), "timeit", "1/0")  # type: ignore[arg-type]
        assert "of 2 ended with exit code 1" in str(caught.value)
        assert capfd.readouterr().err.count("ZeroDivisionError") <= 2  # the engine itself says nothing more
