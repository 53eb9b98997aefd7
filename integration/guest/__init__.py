"""A machine of one's own for what the host's kernel can't show: cgroup v2, AppArmor, SELinux, systemd as process 1.

`disks` builds what it boots from, and `kind` does where the kind node image is its root. `machine` is qemu, `work` the
list of what is run in it, `inside` the program that runs the list there. `python -m integration.guest` is the command.
"""
