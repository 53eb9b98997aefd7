"""Where in a request a security context is, as the CRI spells it: for the texts of refusals.

RunPodSandbox's PodSandboxConfig and CreateContainer's ContainerConfig both are the request's `config`.
"""

from __future__ import annotations

CONTEXT = "config.linux.security_context"
NAMESPACES = f"{CONTEXT}.namespace_options"
RESOURCES = "config.linux.resources"
