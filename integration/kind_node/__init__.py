"""The images of `docker/`, built without a registry of the world's, and a node that runs from one of them.

`bases` makes stand-ins of what they are built from, `images` builds them with buildah, `units` reads what systemd would
start, `node` starts just that in a node whose root file system is the image. `booted` asks what the image's own systemd
has started, where that is the first process (`integration.guest`).
"""
