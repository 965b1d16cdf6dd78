"""The one place that uses both packages: what the theory predicts beside what a run does. Only the CLI imports it."""
