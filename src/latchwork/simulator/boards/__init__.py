"""Simulated lock boards: a wall of doors that obeys physics, and the boards that speak for it on a wire."""
