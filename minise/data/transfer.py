"""Downloading one file over HTTP into a partial file that a later try resumes.

This is minise's own code on top of `urllib`, not a library such as `pooch`, because of the resume: an archive has
170 MB, and `pooch` starts an interrupted download over, so that on a slow line or with a server that hangs up it may
never arrive. It would also bring `requests` and its dependencies into an installation that has five.
"""

from __future__ import annotations

import http.client
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from minise.data.files import MAX_BYTES
from minise.errors import DataError

# Only these handlers: the usual opener would also follow a redirect to ftp://.
OPENER = urllib.request.OpenerDirector()
HANDLERS = ("Proxy", "HTTP", "HTTPS", "HTTPRedirect", "HTTPDefaultError", "Unknown")
for _name in (*(f"{name}Handler" for name in HANDLERS), "HTTPErrorProcessor"):
    if hasattr(urllib.request, _name):  # without ssl there is none for https
        OPENER.add_handler(getattr(urllib.request, _name)())

Progress = Callable[[int, int | None], None]  # bytes done, bytes in all (None where the server does not say)

CHUNK = 1 << 18
TRIES = 4  # that bring nothing new, one after the other
ADVANCE = 1 << 20  # bytes that count as something new
TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})


class InterruptedTransferError(Exception):
    """The transfer stopped for a reason that may pass; what has arrived is in the partial file."""


def download(url: str, part: Path, progress: Progress, timeout: float, pause: float) -> None:
    """Bring the partial file `part` to the full length of what lies at `url`, from wherever it stands.

    Interrupted, it tries again up to TRIES times without an advance, after `pause`, 2·`pause`, ... seconds.
    Whether the content is right is for the caller to check. Raises DataError when the network or the server
    will not do it (`part` stays for the next try), OSError when the disk will not.
    """
    transfer = _Transfer(url, part, progress, timeout)
    furthest, failures = transfer.have(), 0
    while True:
        try:
            return transfer.request()
        except InterruptedTransferError as error:
            have = transfer.have()
            failures = 1 if have >= furthest + ADVANCE else failures + 1
            furthest = max(furthest, have)
            if failures >= TRIES:
                kept = f"the {have} bytes so far are kept in {part}, and the next try resumes"
                raise DataError(f"{url}: {error}; {kept if have else 'nothing has arrived'}") from None
            time.sleep(pause * 2 ** (failures - 1))


@dataclass
class _Transfer:
    url: str
    part: Path
    progress: Progress
    timeout: float
    received: bool = False
    etag: str = ""  # of the version that the part belongs to, once an answer has told

    def have(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0

    def request(self) -> None:
        """One request: for the rest of the file if there is a part of it, else for all."""
        have = self.have()
        headers = {"User-Agent": "minise", "Accept-Encoding": "identity"}
        if have:
            headers["Range"] = f"bytes={have}-"
            if self.etag:
                headers["If-Range"] = self.etag  # a file that changed in between is sent anew, not glued on
        try:
            question = urllib.request.Request(self.url, headers=headers)
            response = OPENER.open(question, timeout=self.timeout)
        except urllib.error.HTTPError as error:
            with error:
                if (
                    error.code == 416
                    and self.received
                    and error.headers.get("Content-Range") == f"bytes */{have}"
                ):
                    return  # all of it has arrived, before an answer that did not say how much is to come
                raise self.refused(error.code, error.reason) from None
        except (OSError, http.client.HTTPException) as error:
            raise InterruptedTransferError(_reason(error)) from None
        with response:
            tag = response.headers.get("ETag", "")
            self.etag = "" if tag.startswith("W/") else tag
            # Other than 206: the server ignores ranges, or the file has changed.
            start = have if response.status == 206 else 0
            if start and not response.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
                self.part.unlink()
                raise InterruptedTransferError(
                    "the server answered with another part of the file than asked for"
                )
            length = response.headers.get("Content-Length", "")
            self.receive(response, start, start + int(length) if length.isdecimal() else None)

    def refused(self, code: int, reason: str) -> Exception:
        """What to raise for an answer other than the archive."""
        if code == 416:  # the part is as long as the file, or longer, and not the file
            self.part.unlink()
            return InterruptedTransferError(f"{self.part} is no part of the file, and deleted")
        answer = f"the server answered {code} {reason}"
        if code in TRANSIENT:
            return InterruptedTransferError(answer)
        return DataError(f"{self.url}: {answer}, expected the archive")

    def receive(self, response: http.client.HTTPResponse, start: int, total: int | None) -> None:
        """Write the answer to the part, from byte `start` on."""
        done = start
        with self.part.open("ab" if start else "wb") as file:
            while True:
                self.progress(done, total)
                if max(done, total or 0) > MAX_BYTES:
                    raise DataError(f"{self.url}: more than {MAX_BYTES} bytes, expected a CIFAR archive")
                try:
                    chunk = response.read(CHUNK)
                except (OSError, http.client.HTTPException) as error:
                    raise InterruptedTransferError(_reason(error)) from None
                if not chunk:
                    break
                file.write(chunk)
                self.received = True
                done += len(chunk)
        if total is not None and done < total:
            raise InterruptedTransferError(f"the connection ended after {done} of {total} bytes")


def _reason(error: Exception) -> str:
    """What to tell about a network error, in one line: URLError wraps the one that says it."""
    inner = error.reason if isinstance(error, urllib.error.URLError) else error
    text = getattr(inner, "strerror", None) or str(inner) or type(inner).__name__
    return str(text).splitlines()[0]
