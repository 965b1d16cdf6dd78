"""The machine: devices and meshes, and whether its JAX computes right."""
