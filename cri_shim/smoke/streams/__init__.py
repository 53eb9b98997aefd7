"""The client's end of exec, attach and port-forward, over SPDY and over WebSocket, as kubectl speaks them."""
