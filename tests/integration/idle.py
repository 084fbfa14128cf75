"""idle.py HOST:PORT COUNT -- opens so many connections, uses each once, since one that never says
anything is closed after a few seconds, and holds them until it is killed."""
import signal
import socket
import sys

HOST, PORT = sys.argv[1].rsplit(":", 1)
LINKS = []
for number in range(int(sys.argv[2])):
    link = socket.create_connection((HOST, int(PORT)), timeout=20)
    link.sendall(b"GET /v1/status/leader HTTP/1.1\r\nHost: n\r\n\r\n")
    if not link.recv(4096).startswith(b"HTTP/1.1 200"):
        sys.exit(f"connection {number} got no answer")
    LINKS.append(link)
print(len(LINKS), "open", flush=True)
signal.pause()
