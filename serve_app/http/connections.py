"""The connections of Serve's HTTP servers, on which the head of a request is bounded in time and size.

Serve gives uvicorn one timeout only, for idle connections after an answer. Without this module a client that connects
and says nothing, that sends its headers drop by drop, or that goes on sending a body after its answer, stays for ever.
"""

import json
import uuid
from asyncio import TimerHandle, Transport

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

# From the connection, or from the first byte of a further request, to the end of the headers; also from an answer to
# the end of the body that it did not wait for.
HEAD_SECONDS = 10.0
# One more second, in which what has already arrived is read, even if this process was busy all the time.
GRACE_SECONDS = 1.0
# Somewhat more is accepted if it arrives in one piece.
HEAD_BYTES = 65_536


class Connection(HttpToolsProtocol):
    """A connection of uvicorn that closes when a head is late or too large, and answers what is not HTTP in JSON.

    It offers no upgrade: a request for a WebSocket is answered as any other request, and then the connection is closed.
    """

    _late: TimerHandle | None = None
    _head_bytes = 0

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._late is None and self._is_answered():
            self._wait_for_head()
        self._head_bytes += len(data)
        super().data_received(data)
        if self._late is not None and not self._is_draining() and self._head_bytes > HEAD_BYTES:
            self._refuse(431, "payload_too_large", f"The headers are larger than {HEAD_BYTES // 1024} KiB: send less.")

    def on_headers_complete(self) -> None:
        self._stop_waiting()
        self._unset_keepalive_if_required()
        super().on_headers_complete()
        if self.parser.should_upgrade():
            self.cycle.keep_alive = False  # the parser takes what follows for the other protocol

    def on_message_complete(self) -> None:
        if self._is_draining():
            self.cycle.more_body = False
            self._stop_waiting()
            # What arrived has ended uvicorn's wait for the next request, which begins only now.
            self._unset_keepalive_if_required()
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )
        super().on_message_complete()

    def _should_upgrade(self) -> bool:
        return False

    def _unsupported_upgrade_warning(self) -> None:
        """Say nothing: clients offer upgrades (h2c) that they do not need."""

    def send_400_response(self, msg: str) -> None:
        self._refuse(400, "invalid_request", "This is not a request in HTTP/1.1: check its method, target and headers.")

    def _is_answered(self) -> bool:
        """Whether no request is being answered: what arrives is a new head, or the rest of a body."""
        return self.cycle is None or self.cycle.response_complete

    def _is_draining(self) -> bool:
        """Whether a request is answered whose body is still arriving."""
        return self.cycle is not None and self.cycle.response_complete and self.cycle.more_body

    def _wait_for_head(self) -> None:
        self._head_bytes = 0
        self._late = self.loop.call_later(HEAD_SECONDS, self._give_grace)

    def _give_grace(self) -> None:
        self._late = self.loop.call_later(GRACE_SECONDS, self._give_up)

    def _stop_waiting(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _give_up(self) -> None:
        self._late = None
        if self._head_bytes and not self._is_draining():
            self._refuse(408, "upload_timeout", f"The headers did not arrive within {HEAD_SECONDS:g} s.")
        else:
            self.transport.close()

    def _refuse(self, status: int, code: str, message: str) -> None:
        """Answer outside of any request, and close."""
        self._stop_waiting()
        if self.transport.is_closing():
            return
        body = json.dumps({"error": code, "message": message, "detail": message}).encode()
        head = [
            STATUS_LINE[status] + b"content-type: application/json",
            b"content-length: %d" % len(body),
            b"x-request-id: " + str(uuid.uuid4()).encode(),
            b"connection: close",
        ]
        self.transport.write(b"\r\n".join([*head, b"", body]))
        self.transport.close()
