"""Runs that version 0.1.0 stored, which every later version must read, verify, recode and merge."""
