"""OCI runtime specs of sandboxes and containers, made of values alone: one aspect a module.

`sandbox.sandbox_spec` and `container.container_spec` put the aspects together; what they ask of the node comes in as
`facts.NodeFacts` and through `host_view.HostView`. The specs are those of containerd's CRI plugin, to the order of
their lists, but for what follows.

- What can't be met is refused as InvalidArgument, by field and value, where containerd answers Unknown; and before a
  mount's missing source is made.
- The default system call filter is containerd 2.4's, whatever release is beneath: it knows the newest calls, and
  refuses AF_ALG sockets, a way into the kernel that has been used for attacks.
- A line of /etc/passwd or /etc/group without a number makes no entry: elsewhere it stands for id 0, which is root's.
- A relative host_path, a relative path of a Localhost profile and a FIFO as a device are refused: the daemon's own
  directory would decide what the first two mean, and no runtime can do the third.
- Privileges, namespaces and the cgroup parent are those that the sandbox was run with, not those that come along with
  a later request.
- A container that asks for the node's user namespace fits a pod that asks for none: both mean the same.
- With the node's network and own users, the node's /sys takes the place of the sysfs that can't be mounted (from
  containerd 2.3 on), beneath the cgroup mount and not on top of it.
- Huge pages of a size that is limited already are limited anew, not twice; without the controller only a request that
  names some is refused.
- What a pod's own annotations say of its resources can't be overwritten by those that a handler passes through.
"""
