"""Standing in for containerd on its own socket: CRI calls are answered here, every other one is containerd's.

A connection goes where its first call belongs (`entrance`). One that begins with containerd's is spliced to containerd
byte by byte (`splice`), so that an image import runs at containerd's own speed; one that begins with the CRI is ours,
and what it asks of containerd is relayed call by call (`relay`). A CRI call on a spliced connection is turned away in
the way that HTTP/2 has for calls that nobody has seen yet: the client makes it again, on a connection of its own.
"""
