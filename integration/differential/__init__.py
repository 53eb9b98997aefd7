"""The same requests on cri-shim and on containerd's own CRI, and everything that containerd stores of them compared.

The table is in a module per aspect, each with its `CASES`; `test_differential` collects them. `case` is how one is
written, `sides` asks both endpoints, `comparison` takes out what differs by chance (ids, paths, times), and `intended`
lists the differences that are meant, with their reasons.
"""
