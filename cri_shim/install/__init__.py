"""Making a node serve the CRI by cri-shim, and undoing just that: units, containerd's configuration, crictl's.

`found` reads what is there, `plan` decides from it alone what should be otherwise, `shown` makes it readable, `apply`
does it and keeps a record, `undo` goes back by that record.
"""
