"""Learned codecs of the literature at their smallest, trained here on the faces that the generator was trained on."""
