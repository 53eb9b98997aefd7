"""A real kubelet, standalone, with static pods, on the CRI endpoint that is tested.

KUBELET=FILE nox -s kubelet                             against cri-shim
KUBELET=FILE nox -s kubelet -- --endpoint containerd    the same against containerd's own CRI
"""
