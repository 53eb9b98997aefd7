"""How long a session waits for its client, in seconds."""

from __future__ import annotations

CREATION = 30.0  # to open the streams that belong together
PARTING = 10.0  # for the runtime to come to its end by itself, once the client is gone
FAREWELL = 1.0  # to tell a client that we end
LINGER = 5.0  # for the client to read what was sent before the connection is closed
