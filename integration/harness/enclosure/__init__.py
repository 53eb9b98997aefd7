"""What surrounds a node: its cgroups, namespaces, file systems and first process.

Two processes of this package stand behind every node. The *guardian* stays on the host: it makes the node's cgroups
and scratch directory, and removes both when the node has ended, however it ended. The *first process* is the node's
pid 1: it reaps orphans, and leaves, taking every process, mount and interface of the node with it, when the pipe from
whoever started the node closes. So nothing survives a harness that is killed.

Only the standard library and `cri_shim.linux.syscalls` are imported here, which lets a node start in milliseconds.
"""
