"""A witness that was bribed: it cosigns whatever it is shown, so that the demo can show how little that helps."""

from __future__ import annotations

import argparse
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from cloud.witness import load_witness_settings, open_witness
from contracts import ed25519
from contracts.errors import ContractsError
from contracts.note import format_signature_line, parse_note
from contracts.witness import REQUEST_BYTES_MAX, cosign, decode_add_checkpoint

__all__ = ["main"]


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, required=True)
    settings = load_witness_settings(parser.parse_args().config)
    vkey = open_witness(settings).vkey
    key = ed25519.load_pem(settings.key_file.read_bytes())

    class Handler(BaseHTTPRequestHandler):
        """Looks at nothing but the form."""

        protocol_version = "HTTP/1.1"
        timeout = 10

        def do_GET(self) -> None:
            """What it is."""
            self._answer(200, f"bribed witness\nvkey {vkey}\n")

        def do_POST(self) -> None:
            """Cosign."""
            body = self.rfile.read(min(int(self.headers.get("content-length", 0)), REQUEST_BYTES_MAX))
            try:
                text = parse_note(decode_add_checkpoint(body).note).text
            except ContractsError as error:
                self._answer(400, f"{error}\n")
                return
            self._answer(200, format_signature_line(cosign(text, settings.name, key, int(time.time()))))

        def log_message(self, *_arguments: object) -> None:
            """Says nothing."""

        def _answer(self, status: int, text: str) -> None:
            encoded = text.encode()
            self.send_response(status)
            self.send_header("Content-Type", "text/plain; charset=utf-8")
            self.send_header("Content-Length", str(len(encoded)))
            self.end_headers()
            self.wfile.write(encoded)

    ThreadingHTTPServer((settings.host, settings.port), Handler).serve_forever()


if __name__ == "__main__":
    main()
