"""Answers that take time: order, parts, slow readers, clients that leave, an end that waits."""

from __future__ import annotations

import asyncio
import re
import socket
import threading
import time

import pytest

from tenfold.errors import ConfigError, InfrastructureError
from tenfold.serve.http.limits import Limits
from tenfold.serve.http.request import ClientGone
from tenfold.serve.http.server import listen

from .conftest import read_all

GET = b"GET /%b HTTP/1.1\r\nHost: a\r\n\r\n"
LAST = b"GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


def tasked(work):
    """A handler that runs `await work(request)` as a task, kept until it ends."""
    tasks = set()

    def handler(request):
        task = asyncio.get_running_loop().create_task(work(request))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    return handler


def until(condition):
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_pipelined_requests_are_answered_in_order_whatever_each_takes(serving, loop_factory):
    under_way = []

    async def work(request):
        under_way.append(request)
        assert len(under_way) == 1  # one at a time
        await asyncio.sleep(0.02 if request.path == "/slow" else 0)
        under_way.pop()
        request.reply(200, b"", request.path.encode())

    order = [b"slow", b"a", b"slow", b"b", b"c", b"slow"]
    with serving(tasked(work), factory=loop_factory) as served:
        answer = served.raw(b"".join(GET % name for name in order) + LAST)
    assert re.findall(rb"/(\w+)", answer.replace(b"HTTP/1.1", b"")) == [*order, b"last"]


def test_a_packet_full_of_requests_gives_others_their_turn(serving):
    """Each is answered, in order, but not all before somebody else's."""
    order = []

    def handler(request):
        order.append(request.path)
        request.reply(200, b"", b"")

    with serving(handler) as served, served.connect() as greedy, served.connect() as modest:
        for connection in (greedy, modest):
            connection.sendall(GET % b"known")
            assert connection.recv(9999).startswith(b"HTTP/1.1 200")

        def both_at_once():
            time.sleep(0.2)  # the loop finds both packets when it looks again

        served.loop.call_soon_threadsafe(both_at_once)
        greedy.sendall(b"".join(GET % b"%d" % n for n in range(1000)) + LAST)
        modest.sendall(GET % b"modest")
        assert read_all(greedy).count(b"HTTP/1.1 200") == 1001
        assert modest.recv(9999).startswith(b"HTTP/1.1 200")
    mine = [path for path in order if path not in ("/known", "/modest")]
    assert mine == [*(f"/{n}" for n in range(1000)), "/last"]
    assert order.index("/modest") < order.index("/999")


def test_a_flood_of_pipelined_requests_waits_unread(serving):
    held = threading.Event()

    async def work(request):
        while not held.is_set():
            await asyncio.sleep(0.01)
        request.reply(200, b"", b"")

    num_requests = 300_000  # 10 MB: more than the buffers of both kernels and ours
    flood = GET % b"x" * num_requests
    with serving(tasked(work)) as served, served.connect(30) as connection:
        connection.setblocking(False)
        sent = 0
        quiet_since = time.monotonic()
        while time.monotonic() - quiet_since < 0.3:
            try:
                sent += connection.send(flood[sent : sent + 1_000_000])
                quiet_since = time.monotonic()
            except BlockingIOError:
                time.sleep(0.01)
        assert sent < len(flood)  # the server stopped taking
        assert served.server.num_requests == 1
        assert served.call(lambda: served.server.num_idle) == 0


def test_a_client_that_sends_but_does_not_read_is_served_no_further(serving):
    """Answers that nobody takes must not pile up."""
    body = b"y" * 100_000

    with serving(lambda request: request.reply(200, b"", body)) as served:
        with served.connect(30) as connection:
            connection.sendall(GET % b"x" * 1000)
            last = -1
            while last != served.server.num_requests:
                last = served.server.num_requests
                time.sleep(0.2)
            assert last < 900
            connection.sendall(LAST)
            seen = read_all(connection)
        assert seen.count(b"HTTP/1.1 200 OK") == 1001
        assert served.server.num_requests == 1001


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
def test_a_slow_reader_holds_the_writer_back(serving, loop_factory, version):
    written = []

    async def work(request):
        request.begin(200, b"")
        for _ in range(500):
            request.write(b"z" * 100_000)
            written.append(1)
            await request.drained()
        request.finish()

    with serving(tasked(work), factory=loop_factory) as served, served.connect(30) as connection:
        connection.sendall(b"GET / HTTP/%b\r\nHost: a\r\nConnection: close\r\n\r\n" % version)
        last = -1
        while last != len(written):
            last = len(written)
            time.sleep(0.2)
        assert 0 < last < 400
        seen = read_all(connection)
    assert seen.count(b"z") == 50_000_000
    assert (b"transfer-encoding: chunked" in seen) == (version == b"1.1")


@pytest.mark.parametrize("how", ["close", "reset", "half"])
def test_a_client_that_leaves_is_noticed_once_and_at_once(serving, loop_factory, how):
    """Half a close counts too: it cannot be told from a whole one."""
    told, raised, gone = [], [], threading.Event()

    async def work(request):
        request.on_gone = lambda: told.append(request.gone)
        request.begin(200, b"")
        request.write(b"first")
        while not request.gone:
            await asyncio.sleep(0.01)
        request.write(b"nobody reads this")
        try:
            await request.drained()
        except ClientGone as error:
            raised.append(error)
        request.finish()
        gone.set()

    with serving(tasked(work), factory=loop_factory) as served:
        connection = served.connect()
        connection.sendall(GET % b"")
        seen = b""
        while not seen.endswith(b"first\r\n"):
            seen += connection.recv(100)
        if how == "reset":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        if how == "half":
            connection.shutdown(socket.SHUT_WR)
        else:
            connection.close()
        assert gone.wait(10)
        connection.close()
        until(lambda: served.server.num_connections == 0)
    assert told == [True]
    assert len(raised) == 1


def test_who_waits_for_a_slow_reader_hears_that_it_left(serving):
    raised = threading.Event()

    async def work(request):
        request.begin(200, b"")
        try:
            while True:
                request.write(b"z" * 100_000)
                await request.drained()
        except ClientGone:
            raised.set()

    with serving(tasked(work)) as served:
        connection = served.connect()
        connection.sendall(GET % b"")
        time.sleep(0.2)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        connection.close()
        assert raised.wait(10)


def test_half_a_close_behind_requests_that_are_answered_at_once_loses_nothing(echoing):
    seen = echoing.raw(GET % b"a" + GET % b"b" + GET % b"c", eof=True)
    assert seen.count(b"HTTP/1.1 200 OK") == 3


def test_a_client_may_wait_to_be_told_to_send_its_body(echoing):
    head = b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
    for framing, body in (
        (b"Content-Length: 5\r\n", b"hello"),
        (b"Transfer-Encoding: chunked\r\n", b"5\r\nhello\r\n0\r\n\r\n"),
    ):
        with echoing.connect() as connection:
            for _ in range(2):
                connection.sendall(head + framing + b"\r\n")
                assert connection.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
                connection.sendall(body)
                assert eval(connection.recv(9999).partition(b"\r\n\r\n")[2])[4] == b"hello"
            # Whoever does not wait is not told; whoever has no body is not either.
            connection.sendall(head + framing + b"\r\n" + body)
            assert connection.recv(9999).startswith(b"HTTP/1.1 200")
            connection.sendall(head + b"\r\n")
            assert connection.recv(9999).startswith(b"HTTP/1.1 200")


def test_a_handler_that_fails_answers_500_or_cuts_what_it_had_begun(serving):
    def handler(request):
        if request.path == "/begun":
            request.begin(200, b"")
            request.write(b"half")
        if request.path == "/done":
            request.reply(200, b"", b"whole")
        if request.path != "/fine":
            raise ValueError("a fault of ours")
        request.reply(200, b"", b"")

    with serving(handler) as served:
        with served.connect() as connection:
            for path, status in ((b"x", b"500"), (b"done", b"200"), (b"fine", b"200")):
                connection.sendall(GET % path)
                assert connection.recv(9999).split()[1] == status
        seen = served.raw(GET % b"begun")
        assert not seen.endswith(b"0\r\n\r\n")  # an answer that is broken must not look whole


def test_what_a_handler_cannot_do_twice(serving):
    faults = []

    def handler(request):
        def fails(call, *args):
            try:
                call(*args)
            except RuntimeError as error:
                faults.append(str(error))

        fails(request.write, b"x")
        fails(request.finish)
        request.begin(200, b"", 3)
        fails(request.begin, 200, b"")
        fails(request.reply, 200, b"", b"")
        request.write(b"abc")
        fails(request.write, b"d")
        request.finish()
        fails(request.finish)
        fails(request.write, b"d")

    with serving(handler) as served, served.connect() as connection:
        connection.sendall(GET % b"")
        assert connection.recv(9999).endswith(b"content-length: 3\r\n\r\nabc")
    assert len(faults) == 7


def test_an_answer_shorter_than_announced_cuts_its_connection(serving):
    def handler(request):
        request.begin(200, b"", 10)
        request.write(b"short")
        request.finish()

    with serving(handler) as served:
        assert len(served.raw(GET % b"").partition(b"\r\n\r\n")[2]) < 10


def test_the_handler_may_end_the_connection(serving):
    def handler(request):
        request.keep_alive = False
        request.reply(415, b"", b"no")

    with serving(handler) as served:
        answer = served.raw(GET % b"" + GET % b"")
        assert answer.count(b"HTTP/1.1 415") == 1
        assert b"connection: close\r\n" in answer


def test_http_1_0_keeps_its_connection_only_when_it_asks(echoing):
    once = b"GET / HTTP/1.0\r\n\r\n"
    kept = b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
    assert echoing.raw(once * 3).count(b"HTTP/1.1 200") == 1
    answer = echoing.raw(kept * 2 + once)
    assert answer.count(b"HTTP/1.1 200") == 3
    assert answer.count(b"connection: keep-alive") == 2


def test_one_connection_too_many(serving):
    with serving(max_connections=2) as served:
        kept = [served.connect() for _ in range(2)]
        for connection in kept:
            connection.sendall(GET % b"")
            assert connection.recv(9999).startswith(b"HTTP/1.1 200")
        assert served.raw(GET % b"").startswith(b"HTTP/1.1 503")
        more = [served.connect() for _ in range(9)]  # even refusals have a bound
        until(lambda: served.server.num_accepted == 12)
        assert served.server.num_connections <= 4
        for connection in (kept.pop(), *more):
            connection.close()
        until(lambda: served.server.num_connections == 1)
        assert served.raw(LAST).startswith(b"HTTP/1.1 200")
        kept.pop().close()


def test_a_drain_finishes_answers_and_takes_no_more(serving, loop_factory):
    release = threading.Event()

    async def work(request):
        while not release.is_set():
            await asyncio.sleep(0.01)
        request.reply(200, b"", b"done")

    with serving(tasked(work), factory=loop_factory) as served:
        busy, idle = served.connect(), served.connect()
        busy.sendall(GET % b"")
        until(lambda: served.server.num_requests == 1)
        until(lambda: served.server.num_connections == 2)
        ending = asyncio.run_coroutine_threadsafe(served.server.drain(10), served.loop)
        assert idle.recv(100) == b""
        with pytest.raises(ConnectionRefusedError):
            served.connect()
        assert not ending.done()
        release.set()
        answer = read_all(busy)
        assert answer.endswith(b"done")
        assert b"connection: close" in answer
        assert ending.result(10) == 0
        busy.close()
        idle.close()


def test_a_drain_ends_although_an_answer_does_not(serving):
    left = []

    async def work(request):
        request.on_gone = lambda: left.append(request.path)
        request.begin(200, b"")
        await asyncio.sleep(3600)

    with serving(tasked(work)) as served, served.connect() as connection:
        connection.sendall(GET % b"endless")
        until(lambda: served.server.num_requests == 1)
        assert served.call(lambda: served.server.drain(0.1)) == 1
        assert left == ["/endless"]


def test_two_servers_share_a_port_when_both_say_so():
    first = listen("127.0.0.1", 0, reuse_port=True)
    port = first.getsockname()[1]
    with first, listen("127.0.0.1", port, reuse_port=True) as second:
        assert second.getsockname()[1] == port
        with pytest.raises(InfrastructureError, match="cannot listen"):
            listen("127.0.0.1", port)


def test_a_limit_of_nothing_is_refused():
    with pytest.raises(ConfigError, match="max_headers must be above 0"):
        Limits(max_headers=0)


@pytest.mark.parametrize(
    ("version", "length"), [(b"1.1", None), (b"1.1", 11), (b"1.0", None)], ids=str
)
def test_the_first_part_may_go_with_the_head(serving, loop_factory, version, length):
    async def work(request):
        request.begin(200, b"", length, first=b"hello ")
        request.write(b"world")
        request.finish()

    with serving(tasked(work), factory=loop_factory) as served, served.connect() as connection:
        connection.sendall(b"GET / HTTP/%b\r\nHost: a\r\nConnection: close\r\n\r\n" % version)
        seen = read_all(connection)
    if version == b"1.1" and length is None:
        assert seen.endswith(b"\r\n\r\n6\r\nhello \r\n5\r\nworld\r\n0\r\n\r\n")
    else:
        assert seen.endswith(b"\r\n\r\nhello world")
