"""A smoke and conformance test for any CRI endpoint: containerd's, CRI-O's, ours. It is a client like any other.

`check` says what a check is, `checks/` holds them by capability, `subject` is what a check works with, `run` runs them,
`report/` shows what came of it. `image/` makes the image that they use, and hands it out.
"""
