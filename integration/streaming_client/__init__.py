"""A client of exec, attach and port-forward, over SPDY and over WebSocket, as strict as it can be."""
