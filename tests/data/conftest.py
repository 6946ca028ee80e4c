"""The fixture of the tests that download."""

from download_server import server as server
