"""How figures look: one style, pictures side by side, curves, plots of what runs have in common."""
