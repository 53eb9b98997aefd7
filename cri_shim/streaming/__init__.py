"""Exec, attach and port-forward as clients speak them: HTTP, SPDY/3.1 and WebSocket, and their framing."""
