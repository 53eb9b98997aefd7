"""SPDY/3.1 without I/O: bytes in, events out, and back. The socket is elsewhere (`cri_shim.streaming.spdy_session`).

Source: "SPDY Protocol - Draft 3.1" (chromium.org); what Kubernetes' clients make of it is said where it matters.
"""
