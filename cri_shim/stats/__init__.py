"""What containers and pods use: read from their cgroups in the background, served from memory."""
