"""The sequence models as machine code for CPUs, built by the compiler that is found; without one JAX's own is used."""
