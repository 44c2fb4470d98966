"""A server on this machine that sends one file, or cuts, stalls, corrupts and refuses, as test_weights.py wants it."""
import hashlib
import http.server
import threading
import time

CONTENT = b"".join(hashlib.sha256(str(i).encode()).digest() for i in range(10_000))  # 320 kB
CORRUPT = CONTENT[:1000] + b"?" + CONTENT[1001:]
MANY = 200_000  # bytes, more than curl keeps back


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers each request with the next of the server's answers; the last one stays."""

    def do_GET(self):
        answers = self.server.answers
        self.server.requests.append((self.path, self.headers["Range"]))
        (answers.pop(0) if len(answers) > 1 else answers[0])(self)

    def log_message(self, *_):
        pass

    def start(self, content=CONTENT, ranges=True):
        """Headers for the content, or for what of it was asked for, which is returned."""
        first = int(self.headers["Range"][len("bytes="):-1]) if ranges and self.headers["Range"] else 0
        self.send_response(206 if first else 200)
        if first:
            self.send_header("Content-Range", f"bytes {first}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(content) - first))
        self.end_headers()
        return content[first:]


def whole(handler):
    handler.wfile.write(handler.start())


def without_ranges(handler):
    handler.wfile.write(handler.start(ranges=False))


def corrupt(handler):
    handler.wfile.write(handler.start(CORRUPT))


def cut(handler):
    handler.wfile.write(handler.start()[:MANY])


def too_much(handler):
    handler.send_response(200)
    handler.end_headers()
    handler.wfile.write(CONTENT + b"and more")


def slow(handler):
    content = handler.start()
    for i in range(0, len(content), 40_000):
        handler.wfile.write(content[i:i + 40_000])
        time.sleep(0.3)  # 2.4 s in all


def stalled(size):
    def answer(handler):
        handler.wfile.write(handler.start()[:size])
        handler.server.over.wait()
    return answer


def silent(handler):
    handler.server.over.wait()


def status(code):
    return lambda handler: handler.send_error(code)


def moved(handler):
    handler.send_response(302)
    handler.send_header("Location", "/elsewhere")
    handler.send_header("Content-Length", "0")
    handler.end_headers()


class Server(http.server.ThreadingHTTPServer):
    """Answers in a thread of its own until stop()."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers, self.requests, self.over = [], [], threading.Event()
        self.address = f"http://127.0.0.1:{self.server_port}"
        self.thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05})
        self.thread.start()

    def stop(self):
        self.over.set()
        self.shutdown()
        self.thread.join()
        self.server_close()
