"""How the grader hears a kernel that may say anything, and as much as it wants."""

import asyncio
import contextlib
import random
import socket
import struct
import threading
from queue import Empty

import pytest
import zmq
from jupyter_client.session import Session

from autograder.grading.sandbox import channels
from autograder.grading.sandbox.channels import Channel, Received

GREETING = bytes(64)
READY = b"\x04\x06\x05READY"


def part(text: bytes, more: bool = False) -> bytes:
    return struct.pack(">BQ", 2 + more, len(text)) + text


def heard(data: bytes, pieces: int = 1) -> list[list[bytes]]:
    """The messages in it, when it comes in so many pieces."""
    random.seed(pieces)
    cuts = sorted(random.sample(range(1, len(data)), pieces - 1))
    received, found = Received(), []
    for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True):
        received.feed(data[start:end])
        while (message := received.next()) is not None:
            found.append(message)
    return found


@pytest.mark.parametrize("pieces", [1, 2, 30])
def test_messages_are_heard_however_they_come(pieces):
    long, short = part(b"b" * 300), b"\x00\x01a"
    assert heard(GREETING + READY + short + b"\x01\x00" + long + READY + short, pieces) == [
        [b"a"],
        [b"", b"b" * 300],
        [b"a"],
    ]


@pytest.mark.parametrize(
    "text",
    [
        part(b"x" * 2000),
        part(b"x" * 600, more=True) + part(b"x" * 600),
        part(b"", more=True) * 64 + part(b""),
        part(b"x" * 2000, more=True) + part(b"x"),
    ],
)
@pytest.mark.parametrize("pieces", [1, 20])
def test_of_what_is_too_large_nothing_is_heard_and_the_next_is(text, pieces, monkeypatch):
    monkeypatch.setattr(channels, "MAX_MESSAGE", 1000)
    data = GREETING + READY + part(b"before") + text + part(b"after")
    assert heard(data, pieces) == [[b"before"], [b"after"]]


@pytest.mark.parametrize("piece", [part(b"x" * 1000, more=True), part(b"", more=True)])
def test_a_message_without_end_takes_no_memory(piece, monkeypatch):
    monkeypatch.setattr(channels, "MAX_MESSAGE", 10_000)
    received = Received()
    received.feed(GREETING)
    for _ in range(1000):
        received.feed(piece)
        assert received.next() is None
        assert len(received._data) + sum(map(len, received._parts)) <= 11_000
        assert len(received._parts) <= channels.MAX_FRAMES


def test_a_part_that_says_it_is_endless_takes_no_memory():
    received = Received()
    received.feed(GREETING + b"\x02" + b"\xff" * 8)
    for _ in range(100):
        received.feed(bytes(1 << 16))
        assert received.next() is None
        assert not received._data


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "k-1")


def test_it_talks_with_zeromq_both_ways(path):
    session = Session()
    with zmq.Context() as context, context.socket(zmq.ROUTER) as kernel:
        kernel.bind(f"ipc://{path}")

        async def talk() -> dict:
            channel = Channel(path, "DEALER", session)
            channel.send(session.msg("question", {"text": "x" * 500_000}))
            for _ in range(20):
                with pytest.raises(Empty):
                    await channel.get_msg(timeout=0.01)
            idents, asked = session.recv(kernel)
            session.send(kernel, "answer", {"n": len(asked["content"]["text"])}, ident=idents)
            said = await channel.get_msg(timeout=10)
            channel.stop()
            assert idents == [session.bsession]
            assert not channel.is_alive()
            return said

        assert asyncio.run(talk())["content"] == {"n": 500_000}


@pytest.fixture
def publisher(path):
    """A kernel's end of its channel of outputs."""
    with zmq.Context() as context, context.socket(zmq.PUB) as kernel:
        kernel.bind(f"ipc://{path}")
        yield kernel


async def subscribed(path, session) -> Channel:
    channel = Channel(path, "SUB", session)
    await channel.connected(10)
    with pytest.raises(Empty):
        await channel.get_msg(timeout=0.2)  # now it has said what it wants to hear
    return channel


def test_it_hears_what_zeromq_publishes(path, publisher):
    session = Session()

    async def listen() -> dict:
        channel = await subscribed(path, session)
        session.send(publisher, "stream", {"text": "a"}, ident=b"topic")
        try:
            return await channel.get_msg(timeout=10)
        finally:
            channel.stop()

    assert asyncio.run(listen())["content"] == {"text": "a"}


HEADER = b'{"msg_id": "1", "msg_type": "stream"}'
NO_MESSAGES = [
    [b"x"],
    [b"<IDS|MSG>"],
    [b"<IDS|MSG>", b"", HEADER, b"{}", b"{}"],
    [b"<IDS|MSG>", b"", HEADER, b"{}", b"{}", b"[]"],
    [b"<IDS|MSG>", b"", b"{}", b"{}", b"{}", b"{}"],
    [b"<IDS|MSG>", b"", HEADER, b"{}", b"{}", b"\xff"],
    [b"<IDS|MSG>", b"", HEADER, b"{}", b"{}", b"[" * 100_000],
    [b"<IDS|MSG>", b"", HEADER, b"{}", b"{}", b"1" * 5_000],
]


def test_what_is_no_message_is_left_out_and_the_next_is_heard(path, publisher):
    async def listen() -> dict:
        channel = await subscribed(path, Session())
        for parts in NO_MESSAGES:
            publisher.send_multipart(parts)
        message = [b"for", b"<IDS|MSG>", b"", HEADER, b"{}", b"{}", b'{"n": 1}', b"b"]
        publisher.send_multipart(message)
        try:
            return await channel.get_msg(timeout=10)
        finally:
            channel.stop()

    heard = asyncio.run(listen())
    assert heard["msg_type"] == heard["header"]["msg_type"] == "stream"
    assert (heard["content"], heard["buffers"]) == ({"n": 1}, [b"b"])


def test_it_waits_for_a_kernel_that_is_not_there_and_no_longer_than_it_should(path):
    async def listen() -> None:
        channel = Channel(path, "SUB", Session())
        await channel.connected(0.05)
        with pytest.raises(Empty):
            await channel.get_msg(timeout=0.05)
        channel.stop()

    asyncio.run(listen())


def test_without_time_nothing_is_heard_however_much_there_is(path, publisher):
    session = Session()

    async def listen() -> None:
        channel = await subscribed(path, session)
        for _ in range(3):
            session.send(publisher, "stream", {"text": "a"})
        await channel.get_msg(timeout=10)
        with pytest.raises(Empty):
            await channel.get_msg(timeout=0)
        channel.stop()

    asyncio.run(listen())


def test_who_hangs_up_or_does_not_listen_keeps_nobody(path):
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen()
        server.settimeout(0.1)
        done = threading.Event()

        def hang_up() -> None:
            while not done.is_set():
                with contextlib.suppress(TimeoutError):
                    server.accept()[0].close()

        thread = threading.Thread(target=hang_up)
        thread.start()

        async def talk() -> None:
            channel = Channel(path, "DEALER", Session())
            channel.send(channel.session.msg("question", {"text": "x" * 5_000_000}))
            with pytest.raises(Empty):
                await channel.get_msg(timeout=0.3)
            channel.stop()

        try:
            asyncio.run(talk())
        finally:
            done.set()
            thread.join()
