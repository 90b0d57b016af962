"""Standard output on real pipes: whole lines, in order, and a reader that goes or stands still."""

import asyncio
import fcntl
import json
import os

import pytest

from exporter.alerts.forms import JsonOptions
from exporter.errors import OutputError
from exporter.outputs.delivery import Delivery
from exporter.outputs.lines import LineOptions
from exporter.outputs.stdout import StdoutOutput
from tests.alerts.conftest import make_alert

TEXT = LineOptions()


@pytest.fixture
def pipe():
    """A pipe of 4096 bytes: read end, write end."""
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    ends = {reader, writer}

    def close(end: int) -> None:
        ends.discard(end)
        os.close(end)

    yield reader, writer, close
    for end in ends:
        os.close(end)


def read_all(reader: int) -> bytes:
    """Everything until the write end is closed."""
    data = b""
    while chunk := os.read(reader, 65536):
        data += chunk
    return data


def test_lines_arrive_whole_and_in_order(pipe) -> None:
    """A batch larger than the pipe arrives complete, one alert a line."""
    reader, writer, close = pipe

    async def main() -> bytes:
        output = StdoutOutput(LineOptions(json=JsonOptions()), writer)
        reading = asyncio.create_task(asyncio.to_thread(read_all, reader))
        await output.send([make_alert(hostname=str(n)) for n in range(101)])
        await output.close()
        close(writer)
        return await reading

    data = asyncio.run(main())

    assert [json.loads(line)["hostname"] for line in data.splitlines()] == [
        str(n) for n in range(101)
    ]


def test_text_is_the_default(pipe) -> None:
    """Without JSON options each line is the alert's text."""
    reader, writer, _ = pipe

    async def main() -> None:
        output = StdoutOutput(TEXT, writer)
        await output.send([make_alert()])
        await output.close()

    asyncio.run(main())

    assert os.read(reader, 4096) == b"22:13:20.123456789: Warning read by cat\n"


def test_a_closed_pipe_is_an_output_error(pipe) -> None:
    """When the reader is gone the delivery counts failures and goes on."""
    reader, writer, close = pipe
    close(reader)

    async def main() -> tuple[Delivery, list[OutputError]]:
        errors: list[OutputError] = []
        delivery = Delivery(StdoutOutput(TEXT, writer), 10, on_failure=errors.append)
        delivery.start()
        delivery.offer([make_alert()])
        await delivery.stop(5)
        return delivery, errors

    delivery, errors = asyncio.run(main())

    assert (delivery.failed, delivery.delivered) == (1, 0)
    assert [error.message for error in errors] == ["standard output cannot be written: Broken pipe"]


def test_a_reader_that_stands_still_blocks_nobody_else(pipe) -> None:
    """While the pipe is full the loop goes on, and the stop is bounded."""
    _, writer, _ = pipe

    async def main() -> tuple[Delivery, int]:
        delivery = Delivery(StdoutOutput(TEXT, writer), 10_000)
        delivery.start()
        delivery.offer([make_alert() for _ in range(1009)])
        turns = 0
        while delivery.delivered == 0 and turns < 1000:
            await asyncio.sleep(0)
            turns += 1
        await delivery.stop(0.05)
        return delivery, turns

    delivery, turns = asyncio.run(main())

    assert turns == 1000
    assert delivery.delivered + delivery.dropped == 1009
    assert delivery.dropped > 0
