"""The grader's end of a kernel's channels: ZMTP 3 on Unix sockets, with a bound on each message.

libzmq bounds a frame of a message, but not how many frames there are: what never ends would fill
the grader's memory, outside all limits of the jail. Here nothing is read ahead, and of a message that
is too large, nothing is kept.
"""

import asyncio
import json
import socket
from queue import Empty
from time import monotonic

from jupyter_client.session import Session

MAX_MESSAGE, MAX_FRAMES = 32_000_000, 64  # bytes; parts
_CHUNK, _AGAIN = 1 << 18, 0.01  # bytes read at once; seconds until the next try to connect
_MORE, _LONG, _COMMAND = 1, 2, 4
_DELIMITER = b"<IDS|MSG>"  # Jupyter's; before it stands whom a message is for, then its signature
# Version 3.0, no encryption; what the kernel greets with is as long.
_GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"NULL".ljust(20, b"\0") + bytes(32)


def _frame(body: bytes, flags: int) -> bytes:
    if len(body) < 256:
        return bytes((flags, len(body))) + body
    return bytes((flags | _LONG,)) + len(body).to_bytes(8, "big") + body


class Received:
    """What has come of messages; those beyond the bounds are left out."""

    def __init__(self):
        self._data = bytearray()
        self._parts: list[bytes] = []
        self._size, self._dropped = 0, False
        self._skip = len(_GREETING)
        self.greeted = False  # whether the kernel has said that it is ready to talk

    def feed(self, data: bytes) -> None:
        self._data += data

    def next(self) -> list[bytes] | None:
        """The parts of the next message, or None where none is complete: then there must be more data."""
        data = self._data
        while True:
            skipped = min(self._skip, len(data))
            del data[:skipped]
            self._skip -= skipped
            if self._skip or not data:
                return None
            start = 9 if data[0] & _LONG else 2
            if len(data) < start:
                return None
            flags, size = data[0], int.from_bytes(data[1:start], "big")
            if flags & _COMMAND:
                self._skip, self.greeted = start + size, True
                continue
            if self._size + size > MAX_MESSAGE or len(self._parts) >= MAX_FRAMES:
                self._parts, self._dropped = [], True
            if self._dropped:
                self._skip, self._size = start + size, MAX_MESSAGE + 1
            elif len(data) < start + size:
                return None
            else:
                self._parts.append(bytes(data[start : start + size]))
                self._size += size
                del data[: start + size]
            if not flags & _MORE:
                parts, dropped = self._parts, self._dropped
                self._parts, self._size, self._dropped = [], 0, False
                if not dropped:
                    return parts


def _message(parts: list[bytes]) -> dict:
    """A message from its parts. Raises ValueError where it is none.

    It is not asked who signed it: what runs in a kernel has the kernel's key.
    """
    try:
        at = parts.index(_DELIMITER) + 2
        header, parent, metadata, content = map(_object, parts[at : at + 4])
        kinds = {"msg_id": header["msg_id"], "msg_type": header["msg_type"]}
    except (KeyError, RecursionError) as error:
        raise ValueError(f"this is no message: {error!r}") from None
    buffers = [memoryview(part) for part in parts[at + 4 :]]
    rest = {"parent_header": parent, "metadata": metadata, "content": content, "buffers": buffers}
    return {"header": header, **kinds, **rest}


def _object(text: bytes) -> dict:
    found = json.loads(text)
    if not isinstance(found, dict):
        raise ValueError("it is no object")
    return found


class Channel:
    """One of a kernel's channels, with as much of jupyter_client's own as nbclient uses.

    path: of the kernel's socket; kind: of ours, in the words of ZeroMQ. It connects when that socket
    is there, and again where it was closed.
    """

    def __init__(self, path: str, kind: str, session: Session):
        self.session = session
        self._path, self._alive = path, True
        ready = b"\x05READY"
        for name, value in ((b"Socket-Type", kind.encode()), (b"Identity", session.bsession)):
            ready += bytes((len(name),)) + name + len(value).to_bytes(4, "big") + value
        self._hello = _GREETING + _frame(ready, _COMMAND)
        self._wish = _frame(b"\x01", 0) if kind == "SUB" else b""  # for all that there is
        self._socket: socket.socket | None = None
        # To be written: while they greet each other, and then.
        self._first, self._out, self._received = bytearray(), bytearray(), Received()

    def start(self) -> None:
        """Nothing: it connects when it is used."""

    def stop(self) -> None:
        self._alive = False
        self._close()

    def is_alive(self) -> bool:
        return self._alive

    def send(self, message: dict) -> None:
        """Have a message sent, at once or while we wait for one."""
        self.session.send(self, message)
        self._flush()

    def send_multipart(self, parts: list[bytes], **_) -> None:
        """What the session calls with a message that it has signed."""
        *firsts, last = map(bytes, parts)
        self._out += b"".join(_frame(part, _MORE) for part in firsts) + _frame(last, 0)

    async def connected(self, timeout: float) -> None:
        """Wait for the kernel's end, for some seconds at most."""
        end = monotonic() + timeout
        while not self._received.greeted and (left := end - monotonic()) > 0:
            await self._exchange(left)
            self._received.next()

    async def get_msg(self, timeout: float | None = None) -> dict:
        """The next message. Raises Empty where none is complete in time, and where there is no time.

        What is no message is left out. However many come, other tasks have their turn between two.
        """
        end = None if timeout is None else monotonic() + timeout
        await asyncio.sleep(0)
        while True:
            left = None if end is None else end - monotonic()
            if left is not None and left <= 0:
                raise Empty
            if (parts := self._received.next()) is None:
                await self._exchange(left)
                continue
            try:
                return _message(parts)
            except ValueError:
                await asyncio.sleep(0)

    async def _exchange(self, seconds: float | None) -> None:
        """Read and write as much as can be done now; where that is nothing, wait for more."""
        if self._socket is None and not self._connect():
            await asyncio.sleep(_AGAIN)
            return
        self._flush()
        if self._read():
            return
        if self._socket is None:  # it was closed over there
            await asyncio.sleep(_AGAIN)
            return
        loop = asyncio.get_running_loop()
        ready, fd = loop.create_future(), self._socket.fileno()
        wake = lambda: ready.done() or ready.set_result(None)  # noqa: E731
        loop.add_reader(fd, wake)
        if self._to_write():
            loop.add_writer(fd, wake)
        try:
            await asyncio.wait([ready], timeout=seconds)
        finally:
            ready.cancel()
            loop.remove_reader(fd)
            loop.remove_writer(fd)

    def _connect(self) -> bool:
        line = socket.socket(socket.AF_UNIX)
        line.setblocking(False)
        try:
            line.connect(self._path)
        except OSError:  # it is not yet there
            line.close()
            return False
        self._socket, self._received = line, Received()
        self._first += self._hello
        self._out[:0] = self._wish
        return True

    def _flush(self) -> None:
        while self._socket is not None and (out := self._to_write()):
            try:
                del out[: self._socket.send(out)]
            except BlockingIOError:
                return
            except OSError:
                self._close()

    def _to_write(self) -> bytearray:
        return self._out if self._received.greeted and not self._first else self._first

    def _read(self) -> bool:
        """Whether there was something."""
        if self._socket is None:
            return False
        try:
            data = self._socket.recv(_CHUNK)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        if data:
            self._received.feed(data)
        else:
            self._close()
        return bool(data)

    def _close(self) -> None:
        if self._socket is not None:
            self._socket.close()
        self._socket = None
        self._first, self._out, self._received = bytearray(), bytearray(), Received()
