"""The image that the checks use, made on the spot of programs that this machine has, and a registry that serves it.

No binary comes along with us and no other registry is asked. `programs` finds a shell and what it needs, `layer` makes
a root file system of them, `own` the images, `registry` hands them out on loopback, where runtimes ask by plain HTTP.
"""
