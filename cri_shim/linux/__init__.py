"""Linux as the rest of cri-shim needs it: thin, typed, no policy."""
