"""Where pictures come from: every source has a `load()` that returns `ganrev.data.pictures.Pictures`."""
