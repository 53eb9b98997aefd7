"""Side by side with containerd's own CRI plugin: the same work on both endpoints of one node, interleaved."""
