"""A receiver of webhooks in forty lines: the standard library alone. `python3 docs/receiver.py whsec_... 8080`, and give https://your-host/ to cleanmails."""

import base64
import hashlib
import hmac
import json
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SECRET, PORT = sys.argv[1], int(sys.argv[2])
KEY = base64.b64decode(SECRET.removeprefix("whsec_"))
SEEN: set[str] = set()  # yours: a table with a unique column, written in the transaction of what the event does


def genuine(headers, body: bytes) -> bool:
    """Standard Webhooks: the HMAC of id, time and body, no older than five minutes."""
    id_, at = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "0")
    if not at.isdigit() or abs(time.time() - int(at)) > 300:
        return False
    wanted = base64.b64encode(hmac.digest(KEY, f"{id_}.{at}.".encode() + body, hashlib.sha256)).decode()
    given = headers.get("webhook-signature", "").split()
    return any(hmac.compare_digest(wanted, each.removeprefix("v1,")) for each in given)


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if not genuine(self.headers, body):
            self.send_error(401)
            return
        if self.headers["webhook-id"] not in SEEN:  # an event may come twice: at least once is the promise
            SEEN.add(self.headers["webhook-id"])
            event = json.loads(body)
            print(event["type"], event["lead_id"], event["data"], flush=True)
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", PORT), Receiver)
    print(f"http://127.0.0.1:{server.server_port}/", flush=True)
    server.serve_forever()
