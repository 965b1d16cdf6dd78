"""`lapg explore`: the theory of a pool behind sliders, in a browser on this machine."""
