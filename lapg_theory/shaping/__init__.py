"""What shaping is worth: the course of naive learners, shaping returns, and the best policy among them."""
