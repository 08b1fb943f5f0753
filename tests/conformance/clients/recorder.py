"""Stands between a client and the server, passes everything on as it is, and remembers it: some clients only log that something failed."""

import http.client
import http.server
import threading
import urllib.parse


class Recorder(http.server.ThreadingHTTPServer):
    """Answers at `self.base` as `base` does."""

    daemon_threads = True

    def __init__(self, base):
        super().__init__(("127.0.0.1", 0), Handler)
        to = urllib.parse.urlsplit(base)
        self.to, self.exchanges = to.netloc, []
        self.base = f"http://127.0.0.1:{self.server_port}{to.path}"
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Handler(http.server.BaseHTTPRequestHandler):
    def forward(self):
        sent = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        there = http.client.HTTPConnection(self.server.to, timeout=30)
        there.request(self.command, self.path, sent, {name: value for name, value in self.headers.items() if name != "Host"})
        answer = there.getresponse()
        got = answer.read()
        self.server.exchanges.append((self.command, self.path, sent.decode(), answer.status, got.decode()))
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("content-length", "transfer-encoding", "connection", "date"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(got)))
        self.end_headers()
        self.wfile.write(got)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = forward

    def log_message(self, *_):
        pass
