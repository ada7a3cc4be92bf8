"""The figures: what each shows of stored runs. Nothing is computed anew but the pictures that latents draw."""
