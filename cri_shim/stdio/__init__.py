"""What containers say and hear: FIFOs, the CRI log, attached clients, the output of an exec."""
